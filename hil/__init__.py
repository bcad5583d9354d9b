"""Hardware in the loop: what stands in for hardware, and what works on real one."""
