//! Disk space kept ahead of what is written, so that a full disk shows before anything is lost.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    libc,
};

use super::signed;

/// Space for an agent's output is kept in steps of this many bytes.
const OUTPUT_STEP: u64 = 128 * 1024;
/// When less than this is left of it, the next step is taken, or its want is told.
const OUTPUT_LEAST: u64 = 48 * 1024;

/// Keeps space behind the first `size` bytes of a file: `ample` bytes, or where there is no room for that, `least`.
/// Returns how many. The size of the file stays as it is.
///
/// # Errors
/// There is no room for `least`.
pub(crate) fn keep(file: &File, size: u64, least: u64, ample: u64) -> io::Result<u64> {
    let keep = |length: u64| {
        fallocate(
            file,
            FallocateFlags::FALLOC_FL_KEEP_SIZE,
            signed(size),
            signed(length),
        )
    };
    let (kept, result) = match keep(ample) {
        Err(Errno::ENOSPC | Errno::EDQUOT) if ample > least => (least, keep(least)),
        result => (ample, result),
    };
    match result {
        Err(error @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EIO)) => Err(error.into()),
        // A file system that cannot keep room does without.
        _ => Ok(kept),
    }
}

/// Keeps the first step for the output of a run that is being prepared.
///
/// # Errors
/// There is no room for it.
pub(crate) fn keep_first(output: &File) -> io::Result<()> {
    keep(output, 0, OUTPUT_STEP, OUTPUT_STEP).map(drop)
}

/// Space kept for the output of a run that lives.
#[derive(Debug, Default)]
pub(crate) struct OutputRoom {
    /// Up to where.
    end: u64,
}

impl OutputRoom {
    /// Keeps more, if it is time to. `false`: there is none, so what the agent says soon will be lost.
    pub(crate) fn keep_up(&mut self, path: &Path, size: u64) -> bool {
        if size + OUTPUT_LEAST <= self.end {
            return true;
        }
        // Not held open: whether somebody else has the output open for writing tells that a process of the run lives.
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path);
        match opened.and_then(|file| keep(&file, size, OUTPUT_LEAST, OUTPUT_STEP)) {
            Ok(kept) => {
                self.end = size + kept;
                true
            }
            // What else may be wrong with the file is told by its reader.
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_ahead_and_the_size_stays() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let file = File::create(&path).unwrap();
        keep_first(&file).unwrap();
        let blocks = |least: u64| {
            let meta = file.metadata().unwrap();
            assert_eq!(meta.len(), 0);
            assert!(meta.blocks() * 512 >= least, "{}", meta.blocks());
        };
        blocks(OUTPUT_STEP);
        let mut room = OutputRoom::default();
        assert!(room.keep_up(&path, 0));
        assert_eq!(room.end, OUTPUT_STEP);
        assert!(room.keep_up(&path, OUTPUT_STEP - OUTPUT_LEAST));
        assert_eq!(room.end, OUTPUT_STEP, "not yet");
        assert!(room.keep_up(&path, OUTPUT_STEP - OUTPUT_LEAST + 1));
        assert!(room.end > OUTPUT_STEP);
        blocks(room.end);
        assert!(!path.with_extension("none").exists());
        assert!(room.keep_up(&path.with_extension("none"), room.end));
    }
}
