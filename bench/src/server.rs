//! The real server: its configuration, its start, its tokens, its metrics.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Outcome, While as _};
use crate::process::Server;

/// How long the server may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A folder among the temporary files, gone when it ends.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Outcome<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("anita-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).to(format!("make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.file(name);
        fs::write(&path, text).to(format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A port of this machine that is free now.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).to("find a free port")?;
    listener.local_addr().to("read an address")
}

/// Waits until something listens there.
pub(crate) fn wait_for(address: SocketAddr, server: &mut Server, log: &Path) -> Outcome {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect(address).is_err() {
        if !server.is_alive() || Instant::now() > deadline {
            let said = fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(8).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(Fault::new(format!("the server did not start: {}", last.join("\n"))));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// How the server is set up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) has_tls: bool,
    /// More of the configuration.
    pub(crate) more: &'a str,
    /// Where it keeps things; in memory if nothing is said.
    pub(crate) storage: Option<&'a str>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Anita {
    pub(crate) process: Server,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    config: PathBuf,
    _folder: Folder,
}

impl Anita {
    pub(crate) fn start(program: &Path, setup: Setup<'_>) -> Outcome<Self> {
        let folder = Folder::new()?;
        let address = free_address()?;
        folder.write("jwt.secret", "a secret of the bench, for nothing else than the bench\n")?;
        let config = folder.write("anita.toml", &configuration(address, setup))?;
        let log = folder.file("anita.log");
        let output = File::create(&log).to("make the log")?;
        let errors = output.try_clone().to("make the log")?;
        let mut process = Server::spawn(program, |command| {
            command.arg("serve").arg("--config").arg(&config);
            command.stdin(Stdio::null()).stdout(output).stderr(errors);
        })?;
        wait_for(address, &mut process, &log)?;
        Ok(Self { process, address, program: program.to_owned(), config, _folder: folder })
    }

    /// The next start lets in so many in a second.
    pub(crate) fn limit_handshakes(&self, per_second: u32) -> Outcome {
        let text = fs::read_to_string(&self.config).to("read the configuration")?;
        let limited = text
            .replace("handshakes_per_second = 1000000\n", &format!("handshakes_per_second = {per_second}\n"));
        fs::write(&self.config, limited).to("write the configuration")
    }

    /// Ends it, unless it has ended, and starts it anew with the same configuration on the same port. The log goes on.
    pub(crate) fn start_again(mut self) -> Outcome<Self> {
        let log = self.config.with_file_name("anita.log");
        let output = File::options().append(true).open(&log).to("open the log")?;
        let errors = output.try_clone().to("open the log")?;
        self.process.end();
        let config = self.config.clone();
        self.process = Server::spawn(&self.program, |command| {
            command.arg("serve").arg("--config").arg(&config);
            command.stdin(Stdio::null()).stdout(output).stderr(errors);
        })?;
        Ok(self)
    }

    /// A token, narrowed to devices if a pattern is given.
    pub(crate) fn token(&self, role: &str, devices: Option<&str>) -> Outcome<String> {
        let mut command = Command::new(&self.program);
        command.arg("token").arg("--config").arg(&self.config);
        command.args(["--subject", &format!("bench-{role}"), "--role", role, "--ttl", "8h"]);
        if let Some(pattern) = devices {
            command.args(["--devices", pattern]);
        }
        let output = command.output().to("make a token")?;
        if !output.status.success() {
            return Err(Fault::new(format!("no token: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The page of the metrics.
    pub(crate) fn metrics(&self) -> Outcome<String> {
        let mut stream = TcpStream::connect(self.address).to("connect for the metrics")?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            .to("ask for the metrics")?;
        let mut page = String::new();
        stream.read_to_string(&mut page).to("read the metrics")?;
        Ok(page)
    }
}

fn configuration(address: SocketAddr, setup: Setup<'_>) -> String {
    let mut text = format!("[server]\nlisten = \"{address}\"\nplaintext = \"loopback\"\n");
    if setup.has_tls {
        text.push_str("[server.tls]\nself_signed = true\n");
    }
    let (storage, more) = (setup.storage.unwrap_or("memory"), setup.more);
    // Heartbeats are rare, so that what is measured is what was asked for.
    write!(
        text,
        "[auth]\nissuer = \"anita\"\naudience = \"anita\"\nsecret_file = \"jwt.secret\"\n\
         [storage]\nurl = \"{storage}\"\n[log]\nlevel = \"warn\"\n[heartbeat]\ninterval_secs = 300\n\
         [devices]\nstale_after_secs = 600\ndisconnected_after_secs = 1200\n\
         [limits]\nsockets_max = 1000000\nsockets_per_address_max = 1000000\nsockets_per_user_max = 1000000\n\
         connections_max = 1000000\nconnections_per_address_max = 1000000\nunauthenticated_max = 1000000\n\
         unauthenticated_per_address_max = 1000000\nhandshakes_per_second = 1000000\n\
         handshakes_per_second_per_address = 1000000\ntls_handshakes_per_second_per_address = 1000000\n\
         publisher_requests_per_second = 1000000\nviewer_requests_per_second = 1000\n{more}\n"
    )
    // Writing to a String does not fail.
    .ok();
    text
}

/// The sum of a counter of the metrics over all of its labels that contain `label`.
pub(crate) fn counter(page: &str, name: &str, label: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    let values =
        lines.filter(|line| line.as_bytes().get(name.len()).is_some_and(|next| b"{ ".contains(next)));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels() {
        let page = "a_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 7\nb 1\n";
        assert!((counter(page, "a_total", "") - 5.0).abs() < 1e-12);
        assert!((counter(page, "a_total", "x=\"2\"") - 3.0).abs() < 1e-12);
    }
}
