//! What an agent is: its command line, the lines it reads and the lines it writes. Pure; the process itself is the
//! runner's business.

pub mod claude;
