//! A PostgreSQL for the tests: in a folder of its own, on a free port, never as root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::Bench;
use crate::fault::Fault;
use crate::process::{self, Running};

/// The user of the server, and what only tests know.
const USER: &str = "anita";
const PASSWORD: &str = "an-ita-test-pass";

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The folder of `initdb` and `postgres`: the newest of the system's, or as a shell would find them.
pub(crate) fn programs() -> Option<PathBuf> {
    let entries = fs::read_dir(VERSIONS).into_iter().flatten().filter_map(Result::ok);
    let number = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|it| number(it) >= Some(15)).collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders =
        versions.into_iter().map(|folder| folder.join("bin")).chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// A running server. Ends with this value.
#[derive(Debug)]
pub(crate) struct Postgres {
    port: u16,
    // The server ends before its folder goes.
    _running: Running,
    _folder: Folder,
}

/// A folder that goes with this value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub(crate) fn start(bench: &Bench) -> Result<Self, Fault> {
        let bin = programs().ok_or_else(|| Fault::new("there are no initdb and postgres, 15 or newer"))?;
        let user = unprivileged();
        // Not in the checkout: another user may have no way into it.
        let path = std::env::temp_dir().join(format!("anita-postgres-{}", std::process::id()));
        let folder = Folder(path.clone());
        let failed = |error| Fault::io("prepare", &path, error);
        let mode =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed);
        fs::create_dir(&path).map_err(failed)?;
        mode(&path, 0o755)?;
        let (data, secret) = (path.join("data"), path.join("secret"));
        fs::create_dir(&data).map_err(failed)?;
        mode(&data, 0o700)?;
        fs::write(&secret, PASSWORD).map_err(failed)?;
        if let Some(user) = user {
            let mut own = Command::new("chown");
            bench.prepare(own.arg(user).arg(&data), "giving the server its folder")?;
        }
        let command = |program: &str| {
            let mut command = as_user(user, &bin.join(program));
            command.current_dir(&path);
            command
        };
        let mut initdb = command("initdb");
        initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&secret);
        initdb.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        bench.prepare(&mut initdb, "making a PostgreSQL cluster")?;
        let port = process::free_port()?;
        let mut server = command("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=400"] {
            server.args(["-c", setting]);
        }
        let mut running = Running::start(&mut server, &bench.log)?;
        bench.wait_for("PostgreSQL answers", || {
            if running.poll()?.is_some() {
                return Err(Fault::new("PostgreSQL ended before it answered"));
            }
            // It listens a moment before it answers.
            let mut ask = Command::new(bin.join("pg_isready"));
            Ok(process::output(ask.args(["-h", "127.0.0.1", "-p", &port.to_string()])).is_some())
        })?;
        Ok(Self { port, _running: running, _folder: folder })
    }

    /// Its address, without a database: each test makes its own.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }
}

/// Who runs the server when we are root, which it refuses to be run by.
fn unprivileged() -> Option<&'static str> {
    let id = |arguments: &[&str]| process::output(Command::new("id").args(arguments));
    if id(&["-u"])?.trim() != "0" {
        return None;
    }
    if id(&["postgres"]).is_some() { Some("postgres") } else { Some("nobody") }
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let group = process::output(Command::new("id").args(["-gn", user])).unwrap_or_default();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", group.trim(), "--clear-groups", "--"]).arg(program);
    command
}
