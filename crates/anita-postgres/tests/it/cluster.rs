//! A PostgreSQL of our own: in a temporary folder, on a free port, not as root.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_postgres::NoTls;

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user and the password of the servers of tests.
const USER: &str = "anita";
pub(crate) const PASSWORD: &str = "an-ita-test-pass";

/// A server of our own.
pub(crate) struct Cluster {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    server: Mutex<Option<Child>>,
}

/// Says that a test did not run; or fails, where every service must be there.
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
pub(crate) fn skip(why: &str) {
    let is_required = std::env::var_os("ANITA_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!is_required, "ANITA_TEST_REQUIRE_SERVICES=1, but {why}");
    eprintln!("skipped: {why}");
}

/// Where the programs of the server are.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    folders.splice(0..0, versions.into_iter().rev());
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

/// Who runs a server when we are root, which it refuses to be run by.
fn unprivileged() -> &'static str {
    let knows =
        |user: &str| Command::new("id").arg(user).output().is_ok_and(|output| output.status.success());
    if knows("postgres") { "postgres" } else { "nobody" }
}

/// A command as a user who is not root.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = unprivileged();
    command.args(["--reuid", user, "--regid"]);
    let group = Command::new("id").args(["-gn", user]).output().unwrap();
    command.arg(String::from_utf8_lossy(&group.stdout).trim()).args(["--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Cluster {
    /// A new server of its own; `None`, and said so, where there is no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            skip("there are no initdb and postgres here (apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("anita-postgres-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            run(Command::new("chown").arg(unprivileged()).arg(&data));
        }
        let secret = folder.path().join("secret");
        std::fs::write(&secret, PASSWORD).unwrap();
        let mut initdb = command(&bin.join("initdb"));
        initdb.current_dir(folder.path()).arg("--pgdata").arg(&data).arg("--pwfile").arg(&secret);
        run(initdb.args([
            "--username",
            USER,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let cluster = Self { bin, folder, port, server: Mutex::new(None) };
        cluster.resume();
        Some(cluster)
    }

    /// Starts the server, after [`Cluster::stop`] or [`Cluster::kill`].
    pub(crate) fn resume(&self) {
        let mut postgres = command(&self.bin.join("postgres"));
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        postgres.arg("-D").arg(self.folder.path().join("data")).arg("-p").arg(self.port.to_string());
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let child =
            postgres.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        *self.server.lock() = Some(child.spawn().unwrap());
        let ready = || {
            let mut ask = Command::new(self.bin.join("pg_isready"));
            let port = self.port.to_string();
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().is_ok_and(|status| status.success())
        };
        self.wait("the server listens", ready);
    }

    fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what}; its log:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let server = self.server.lock();
        let pid = server.as_ref().unwrap().id().to_string();
        run(Command::new("kill").args([name, &pid]));
    }

    /// The server and all its processes stand still, or go on.
    pub(crate) fn freeze(&self, name: &str) {
        let pid = self.server.lock().as_ref().unwrap().id().to_string();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().unwrap();
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        for pid in [pid.as_str()].into_iter().chain(children.split_whitespace()) {
            // One of the children may just have ended.
            Command::new("kill").args([name, pid]).stderr(Stdio::null()).status().unwrap();
        }
    }

    /// Ends the server in good order, whoever is connected.
    pub(crate) fn stop(&self) {
        self.signal("-INT");
        self.server.lock().take().unwrap().wait().unwrap();
    }

    /// Ends the server as a crash does.
    pub(crate) fn kill(&self) {
        self.signal("-QUIT");
        self.server.lock().take().unwrap().wait().unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.lock().take() {
            let pid = server.id().to_string();
            for name in ["-CONT", "-INT"] {
                Command::new("kill").args([name, &pid]).status().ok();
            }
            server.wait().ok();
        }
    }
}

/// A connection of the bare driver.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    client
}

/// Runs SQL by itself.
pub(crate) async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}
