//! Files that people send.

use std::path::Path;

use async_trait::async_trait;
use serde::Deserialize;
use teloxide_core::{payloads::GetFile, types::FileId};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    classify::Reason,
    client::{CallError, Client, DOWNLOAD},
};
use crate::{
    core::trouble::CallClass,
    gateway::ports::{FetchError, FileSource},
};

/// A file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Telegram or the way there.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It is larger than was asked for.
    #[error("the file has more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The server names no place at all.
    #[error("Telegram gives no path of the file")]
    NoPath,
    /// The server names a place that is none of its own files.
    #[error(
        "the Bot API server names a place that is none of its files, or not one of ours to read"
    )]
    Astray,
    /// Less came than was announced.
    #[error("only {got} of {announced} bytes came")]
    Cut {
        /// What came.
        got: u64,
        /// What was announced.
        announced: u64,
    },
    /// A server on this machine keeps it, but it cannot be read.
    #[error("the file that the Bot API server keeps cannot be read: {0}")]
    Local(std::io::Error),
    /// Where it should be written to.
    #[error("the file cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Fetches a file of at most `limit` bytes into `sink`; returns its size. Telegram's own servers give out at most
/// 20 MB. What was written before an error is not complete.
///
/// # Errors
/// See [`FileError`].
pub async fn fetch<W: AsyncWrite + Unpin + Send>(
    client: &Client,
    file_id: &str,
    limit: u64,
    sink: &mut W,
) -> Result<u64, FileError> {
    #[derive(Deserialize)]
    struct File {
        file_path: Option<String>,
        file_size: Option<u64>,
    }
    let file: File = client
        .call("getFile", &GetFile::new(FileId(file_id.to_owned())))
        .await?;
    if file.file_size.is_some_and(|size| size > limit) {
        return Err(FileError::TooLarge { limit });
    }
    let path = file.file_path.ok_or(FileError::NoPath)?;
    if path.starts_with('/')
        && let Some(folder) = client.local_files()
    {
        return copy(folder, Path::new(&path), limit, sink).await;
    }
    let path = Some(path)
        .filter(|path| is_plain(path))
        .ok_or(FileError::Astray)?;
    let mut answer = client.open_file(&path).await?;
    let mut size = 0;
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| client.broken(DOWNLOAD, error, None))?
    {
        // The size that was told before is not to be relied on.
        size += chunk.len() as u64;
        if size > limit {
            return Err(FileError::TooLarge { limit });
        }
        sink.write_all(&chunk).await?;
    }
    sink.flush().await?;
    match file.file_size {
        Some(announced) if size < announced => Err(FileError::Cut {
            got: size,
            announced,
        }),
        _ => Ok(size),
    }
}

/// Copies a file that a server on this machine keeps. What does not lie in its folder, links followed, is none of its
/// files, whatever it says.
async fn copy<W: AsyncWrite + Unpin + Send>(
    folder: &Path,
    path: &Path,
    limit: u64,
    sink: &mut W,
) -> Result<u64, FileError> {
    let folder = tokio::fs::canonicalize(folder)
        .await
        .map_err(FileError::Local)?;
    let path = tokio::fs::canonicalize(path)
        .await
        .map_err(FileError::Local)?;
    let meta = tokio::fs::metadata(&path).await.map_err(FileError::Local)?;
    // A FIFO would be waited for without end.
    if !path.starts_with(&folder) || !meta.is_file() {
        return Err(FileError::Astray);
    }
    let mut file = tokio::fs::File::open(&path)
        .await
        .map_err(FileError::Local)?;
    let (mut size, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer).await.map_err(FileError::Local)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > limit {
            return Err(FileError::TooLarge { limit });
        }
        sink.write_all(&buffer[..read]).await?;
    }
    sink.flush().await?;
    Ok(size)
}

#[async_trait]
impl FileSource for Client {
    async fn fetch(
        &self,
        file_id: &str,
        limit: u64,
        sink: &mut tokio::fs::File,
    ) -> Result<u64, FetchError> {
        fetch(self, file_id, limit, sink)
            .await
            .map_err(|error| match error {
                FileError::TooLarge { .. } => FetchError::TooLarge,
                FileError::NoPath => FetchError::Gone(error.to_string()),
                FileError::Astray => FetchError::Closed(error.to_string()),
                FileError::Write(cause) => FetchError::Write(cause),
                FileError::Cut { .. } | FileError::Local(_) => {
                    FetchError::Failed(error.to_string())
                }
                FileError::Call(error) => of_call(&error),
            })
    }
}

/// What a failed call means for the file. A link is good for an hour at least, and each try asks for a new one.
fn of_call(error: &CallError) -> FetchError {
    let what = error.to_string();
    let too_big = error
        .description
        .as_deref()
        .is_some_and(|text| text.to_ascii_lowercase().contains("file is too big"));
    match error.class {
        CallClass::Rejected if too_big => FetchError::TooLarge,
        CallClass::Rejected if error.reason == Reason::FileGone => FetchError::Gone(what),
        CallClass::WaitUntil(until) => FetchError::Wait {
            what,
            until: Some(until),
        },
        // No network, or no bot until somebody mends the token.
        CallClass::Safe | CallClass::Unauthorized | CallClass::Conflict | CallClass::Fatal
            if error.method != DOWNLOAD =>
        {
            FetchError::Wait { what, until: None }
        }
        CallClass::Safe => FetchError::Wait { what, until: None },
        _ => FetchError::Failed(what),
    }
}

/// Whether a path can stand in a URL as it is and leads nowhere else.
fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_plain_paths_are_followed() {
        for good in ["documents/file_1.txt", "photos/file_0.jpg", "a"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "/var/lib/x",
            "../x",
            "a/../b",
            "a//b",
            "a?b",
            "a#b",
            "http://x/y",
            "a%2e",
            "a b",
            "./a",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
