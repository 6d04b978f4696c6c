//! The ring.

use std::io;
use std::os::fd::RawFd;

use io_uring::{IoUring, opcode, types};

/// How many sends go into one system call.
const ENTRIES: u32 = 128;

/// A ring for sends. It belongs to one thread.
pub struct Sender {
    ring: IoUring,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// A ring, if the kernel gives one and knows how to send with it.
    ///
    /// # Errors
    /// Whatever the kernel says; often that it is not permitted.
    pub fn new() -> io::Result<Self> {
        let ring = IoUring::new(ENTRIES)?;
        let mut probe = io_uring::Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { ring })
    }

    /// Sends bytes to sockets, each as far as its socket takes them now: `MSG_DONTWAIT` and `MSG_NOSIGNAL`, as `send`
    /// would. One result for each, in order: how many bytes it took, or [`io::ErrorKind::WouldBlock`], or what else is
    /// wrong with it. A socket may be named once.
    pub fn send_all(&mut self, sends: &[(RawFd, &[u8])], results: &mut Vec<io::Result<usize>>) {
        results.clear();
        for part in sends.chunks(ENTRIES as usize) {
            let first = results.len();
            // What the kernel does not answer was not tried.
            results.extend(part.iter().map(|_send| Err(io::ErrorKind::WouldBlock.into())));
            let mut pending = self.push(part);
            while pending > 0 {
                let submitted = self.ring.submit_and_wait(pending);
                let fault = submitted.err().filter(|error| !is_passing(error));
                for completion in self.ring.completion() {
                    pending = pending.saturating_sub(1);
                    let place = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
                    if let Some(result) = results.get_mut(first.saturating_add(place)) {
                        *result = answer(completion.result());
                    }
                }
                if let Some(error) = fault {
                    // The bytes are borrowed: it must not return while the kernel may still look at them. A ring that
                    // can't be waited for is a fault of the system or of ours, and never seen.
                    eprintln!("io_uring can't be waited for: {error}");
                    std::process::abort();
                }
            }
        }
    }

    /// Puts sends into the ring; says how many.
    fn push(&mut self, part: &[(RawFd, &[u8])]) -> usize {
        let mut queue = self.ring.submission();
        let mut pushed = 0;
        for (place, (socket, bytes)) in part.iter().enumerate() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let entry = opcode::Send::new(types::Fd(*socket), bytes.as_ptr(), length)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                .build()
                .user_data(place as u64);
            // SAFETY: the pointer and the length are those of a borrowed slice, which lives until `send_all` returns,
            // and `send_all` waits for the completion of every entry that is pushed here.
            #[allow(unsafe_code, reason = "see the comment of the crate")]
            let is_pushed = unsafe { queue.push(&entry) }.is_ok();
            if !is_pushed {
                break;
            }
            pushed += 1;
        }
        pushed
    }
}

/// Whether asking again is all that is to be done: a signal came, or the kernel is short of something just now.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy
    )
}

fn answer(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_negative| io::Error::from_raw_os_error(-result))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr, reason = "the code of a test")]

    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn sender() -> Option<Sender> {
        Sender::new().map_err(|error| eprintln!("not tested, there is no io_uring here: {error}")).ok()
    }

    #[test]
    fn each_socket_gets_its_bytes_and_says_so() {
        let Some(mut sender) = sender() else { return };
        let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
        let texts: Vec<String> = (0..300).map(|number| format!("to {number}")).collect();
        let sends: Vec<_> =
            pairs.iter().zip(&texts).map(|(pair, text)| (pair.0.as_raw_fd(), text.as_bytes())).collect();
        let mut results = Vec::new();
        sender.send_all(&sends, &mut results);
        assert_eq!(results.len(), 300);
        for ((result, text), (_, mut other)) in
            results.iter().zip(&texts).zip(pairs.iter().map(|it| (&it.0, &it.1)))
        {
            assert_eq!(*result.as_ref().unwrap(), text.len());
            let mut heard = vec![0; text.len()];
            other.read_exact(&mut heard).unwrap();
            assert_eq!(heard, text.as_bytes());
        }
    }

    #[test]
    fn a_full_socket_and_a_dead_one_are_told_and_cost_others_nothing() {
        let Some(mut sender) = sender() else { return };
        let (full, _unread) = UnixStream::pair().unwrap();
        let (dead, gone) = UnixStream::pair().unwrap();
        drop(gone);
        let (good, mut reader) = UnixStream::pair().unwrap();
        let much = vec![7; 64 * 1024];
        let mut results = Vec::new();
        loop {
            sender.send_all(&[(full.as_raw_fd(), &much)], &mut results);
            if results.iter().any(Result::is_err) {
                break;
            }
        }
        let sends: [(i32, &[u8]); 3] =
            [(full.as_raw_fd(), b"more"), (dead.as_raw_fd(), b"more"), (good.as_raw_fd(), b"more")];
        sender.send_all(&sends, &mut results);
        let kinds: Vec<_> = results.iter().map(|it| it.as_ref().map_err(io::Error::kind)).collect();
        assert_eq!(kinds, [Err(io::ErrorKind::WouldBlock), Err(io::ErrorKind::BrokenPipe), Ok(&4)]);
        let mut heard = [0; 4];
        reader.read_exact(&mut heard).unwrap();
    }
}
