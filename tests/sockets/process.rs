//! What the process holds.

use std::{fmt, fs, time::Duration};

use tokio::{runtime::Handle, time::sleep};

/// Open files and living tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    files: usize,
    tasks: usize,
}

impl Left {
    pub(crate) fn now() -> Self {
        Self {
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: Handle::current().metrics().num_alive_tasks(),
        }
    }

    /// Waits until no more is open and alive than at this moment; sockets take a while to close.
    ///
    /// # Panics
    ///
    /// If that does not happen within twenty seconds.
    pub(crate) async fn comes_back(self) {
        self.waits_for(self.files, self.tasks).await;
    }

    /// The same of files alone, of which `more` may be open than at this moment.
    pub(crate) async fn comes_back_but(self, more: usize) {
        self.waits_for(self.files + more, usize::MAX).await;
    }

    async fn waits_for(self, files: usize, tasks: usize) {
        let mut now = Self::now();
        for _ in 0..400 {
            if now.files <= files && now.tasks <= tasks {
                return;
            }
            sleep(Duration::from_millis(50)).await;
            now = Self::now();
        }
        panic!("{now:?} are left, of {self:?}; {files} files and {tasks} tasks may be");
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {} tasks", self.files, self.tasks)
    }
}

/// The memory that is resident.
pub(crate) fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
