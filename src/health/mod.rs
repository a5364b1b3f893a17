//! One truth about readiness: who looks at the daemon's health looks here.
