//! Many sends in one system call, where Linux has `io_uring`.
//!
//! A [`Sender`] hands a list of sends to the kernel at once and waits until it has tried each: none waits for room in its
//! socket. So nothing is under way when [`Sender::send_all`] returns, and the bytes are only borrowed.
//!
//! It is the one crate with unsafe code: an entry of the ring holds a pointer.
//!
//! What is not here: reading, connections, and what to do where there is no `io_uring` (containers often forbid it).

#[cfg(target_os = "linux")]
mod ring;

#[cfg(target_os = "linux")]
pub use ring::Sender;

#[cfg(not(target_os = "linux"))]
mod none {
    use std::io;

    /// There is no `io_uring` on this system.
    #[derive(Debug)]
    pub enum Sender {}

    impl Sender {
        /// Says that there is none.
        ///
        /// # Errors
        /// Always [`io::ErrorKind::Unsupported`].
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Never called.
        pub fn send_all(&mut self, _sends: &[(i32, &[u8])], _results: &mut Vec<io::Result<usize>>) {}
    }
}

#[cfg(not(target_os = "linux"))]
pub use none::Sender;
