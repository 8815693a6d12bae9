"""Modules of NICs, through the kernel: ethtool netlink, its ioctl, statistics."""
