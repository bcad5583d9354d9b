"""A virtual rig: emulated modems on the USB bus of a virtual machine, with the real Linux drivers. See docs/rig.md.

Two halves live here. On the host, `__main__` and `boot` start a virtual machine. In it, `bench` holds the devices
of `devices` and gives them to the kernel through `usbip`; `control` plugs, unplugs and watches them.
"""
