//! What only a machine with a kernel of its own can show: limits of memory, tasks and processor time, a reboot, a power
//! failure. Everything in one boot where that is sound, for a boot takes 20 s.

mod line;
mod qemu;
mod rig;
