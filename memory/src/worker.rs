//! The one thread that touches the index file.

use crate::error::LibraryError;
use crate::index::Index;
use std::fmt;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// Most questions that wait; whoever comes later waits for a place.
const QUEUE_MAX: usize = 256;

type Job = Box<dyn FnOnce(&mut Index) + Send>;

/// A handle on the thread. It ends when the last handle is gone and the last question answered.
#[derive(Clone)]
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    path: String,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Worker {
    /// Opens the index on a thread of its own.
    pub(crate) async fn start(path: PathBuf) -> Result<Self, LibraryError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_MAX);
        let (opened, open) = oneshot::channel();
        let text = path.display().to_string();
        let thread = std::thread::Builder::new().name("bursar-library".to_owned()).spawn(move || {
            let mut index = match Index::open(path) {
                Ok(index) => index,
                Err(error) => {
                    // Nobody waits any more: then nobody needs to know.
                    drop(opened.send(Err(error)));
                    return;
                }
            };
            if opened.send(Ok(())).is_err() {
                return;
            }
            while let Some(job) = queue.blocking_recv() {
                job(&mut index);
            }
        });
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LibraryError::Index {
            path: text.clone(),
            source,
        };
        thread.map_err(|error| failed(error.into()))?;
        open.await.map_err(|_| LibraryError::Closed)?.map_err(|error| failed(error.into()))?;
        Ok(Self { jobs, path: text })
    }

    /// Asks the index. `Ok(Err(_))` is the index's own failure.
    ///
    /// # Cancellation
    /// A question that was accepted is worked on to its end.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<rusqlite::Result<T>, LibraryError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Index) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |index| drop(answer.send(question(index))));
        self.jobs.send(job).await.map_err(|_| LibraryError::Closed)?;
        answered.await.map_err(|_| LibraryError::Closed)
    }

    /// The failure of this index as an error.
    pub(crate) fn failed(&self, error: rusqlite::Error) -> LibraryError {
        LibraryError::Index { path: self.path.clone(), source: error.into() }
    }
}
