//! Why a source ended.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a source ended. The next run may go better.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A fault of this program: the log says where.
    #[error("the source panicked")]
    Panicked,
    /// There is no connection to be had.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The broker answered, and refused.
    #[error("the broker at {address} refuses the connection: {reason}")]
    Refused {
        /// The broker.
        address: String,
        /// Why, and what to look at.
        reason: String,
    },
    /// The broker let us in, and does not let us hear.
    #[error(
        "the broker at {address} refuses the subscription to `{topic}`: {reason}; check its access rules and `topics`"
    )]
    SubscriptionRefused {
        /// The broker.
        address: String,
        /// The topic filter.
        topic: String,
        /// What the broker says of it.
        reason: String,
    },
    /// The connection to the broker broke, or could not be made.
    #[error("the connection to the broker at {address} failed")]
    Mqtt {
        /// The broker.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS for {address}")]
    Tls {
        /// The broker.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file that the configuration names cannot be read.
    #[error("cannot read `{key}` = {}", path.display())]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A serial port, socket or file failed while it was read or written.
    #[error("{address} failed")]
    Io {
        /// Which.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side closed the connection.
    #[error("{address} closed the connection")]
    Closed {
        /// Who.
        address: String,
    },
    /// Nothing came for as long as the configuration allows.
    #[error("{address} has sent nothing for {silence:?}")]
    Silent {
        /// Who.
        address: String,
        /// For how long.
        silence: Duration,
    },
    /// The device does not answer to the wake-up.
    #[error(
        "{address} does not answer to two carriage returns; check the cable, the baud rate, and that it is a DWM1001 shell"
    )]
    Asleep {
        /// Which.
        address: String,
    },
}

impl Fault {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Panicked => {
                "Read the log of the server around that time, and report it: this is a fault of the program."
            }
            Self::Connect { .. } => {
                "Check that the other side runs, that the address and port of `url` are right, and that no firewall is between."
            }
            Self::Refused { .. } => {
                "Check `username`, the password and `client_id` against what the broker allows."
            }
            Self::SubscriptionRefused { .. } => {
                "Allow this user to subscribe at the broker (its access rules), or mend `topics`."
            }
            Self::Mqtt { .. } => {
                "Check that the broker runs and is reached by `url`; where it speaks TLS, write mqtts:// and its port."
            }
            Self::Tls { .. } => {
                "Check `ca_file`: the certificate of the authority that signed the broker's, PEM; and that `url` has the name that is in the broker's certificate."
            }
            Self::File { .. } => "Check that the file is there and that the user of the server may read it.",
            Self::Io { .. } => {
                "Check the cable or the path, and that the user of the server may open it (for a serial port often the group dialout)."
            }
            Self::Closed { .. } => {
                "Look at the other side: it ended the connection. Some devices serve one connection at a time."
            }
            Self::Silent { .. } => {
                "Check that the device is on and reports, or make `silence_secs_max` longer."
            }
            Self::Asleep { .. } => {
                "Check the cable and the baud rate, and that it is the shell of a DWM1001; or leave `wake` out."
            }
        }
    }
}

/// An error and its causes on one line. A cause that the text before it already told is not repeated.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_every_cause_once() {
        let source = io::Error::other("connection refused");
        let fault = Fault::Connect { address: "tcp://h:1".into(), source };
        assert_eq!(chain(&fault), "cannot connect to tcp://h:1: connection refused");
    }
}
