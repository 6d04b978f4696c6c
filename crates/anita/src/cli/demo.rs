//! `anita demo`: everything embedded, a simulated site.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anita::config::{Config, LogFormat, Written};
use anita::{App, Signals};
use anita_auth::{Grant, Minter};
use anita_model::{SiteName, SourceName, Timestamp};
use anita_server::{Bounds, SiteMap, ZoneShape};
use anita_sources::simulator::{DEVICES_MAX, Layout, SimulatorSource};
use clap::Args;

use super::{Failure, TOKEN_ID_BYTES, block_on, logging};

/// How long the printed tokens are valid.
const TOKEN_TTL: Duration = Duration::from_secs(8 * 3_600);

/// What the secret is called in the configuration of the demo; the environment of the process has no such variable.
const SECRET_VARIABLE: &str = "ANITA_DEMO_SECRET";

/// Lines a second of one place in the log.
const LINES_PER_SECOND: u32 = 50;

/// The roles a token is printed for.
const ROLES: [&str; 4] = ["viewer", "publisher", "operator", "admin"];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many tags walk about.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = devices)]
    devices: usize,
    /// The same seed gives the same walks.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn devices(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= DEVICES_MAX);
    count.ok_or_else(|| format!("a whole number up to {DEVICES_MAX}"))
}

/// Runs the demo until a signal.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::begin(LogFormat::Text, "warn", LINES_PER_SECOND)?;
    // A secret that nobody else knows, and that ends with the demo.
    let secret = anita_hub::random_token(32);
    let folder = DemoFolder::make()?;
    let config = demo_config(arguments, folder.path(), secret)?;
    let minter = config.minter.clone().ok_or("the demo has a secret")?;
    let source =
        SimulatorSource::new(SourceName::parse("demo")?, SiteName::main(), arguments.devices, arguments.seed);
    block_on(async {
        let mut app = App::new(config);
        app.add_source(Box::new(source));
        let signals = Signals::listen()?;
        let running = app.start().await?;
        let fingerprint =
            running.certificates().map(anita_server::Certificates::fingerprint).unwrap_or_default();
        print_welcome(running.address(), &fingerprint, &minter)?;
        Ok(running.until(signals).await?)
    })
}

/// Where the embedded store lives; gone when the demo ends.
struct DemoFolder(std::path::PathBuf);

impl DemoFolder {
    fn make() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("anita-demo-{}", anita_hub::random_token(8)));
        private_folder(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// A folder that only this user can look into.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // What is left over is a demo that nobody can reach any more.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn demo_config(arguments: &Arguments, folder: &Path, secret: String) -> Result<Config, Failure> {
    let listen = arguments.listen;
    let text = format!(
        "[server]\nlisten = \"{listen}\"\nplaintext = \"{}\"\n[server.tls]\nself_signed = true\n\
         [auth]\nsecret_env = \"{SECRET_VARIABLE}\"\n[storage]\nurl = \"sqlite:anita.db\"\n\
         [devices]\nstale_after_secs = 5\ndisconnected_after_secs = 30\n[drain]\nspread_secs = 1\n",
        if listen.ip().is_loopback() { "loopback" } else { "never" },
    );
    let environment = std::iter::once((SECRET_VARIABLE.to_owned(), secret));
    let written = Written::parse(&folder.join("demo.toml"), &text, environment)?;
    let mut config = Config::from_written(&written)?;
    config.site = site(&Layout::hall());
    Ok(config)
}

fn site(layout: &Layout) -> SiteMap {
    let zones = layout
        .zones
        .iter()
        .map(|zone| ZoneShape { name: zone.name.to_owned(), polygon: zone.polygon_m.clone() });
    SiteMap {
        name: "demo".to_owned(),
        bounds: Some(Bounds { min_x: 0.0, min_y: 0.0, max_x: layout.width_m, max_y: layout.depth_m }),
        zones: zones.collect(),
    }
}

fn print_welcome(address: SocketAddr, fingerprint: &str, minter: &Minter) -> Result<(), Failure> {
    let mut tokens = Vec::new();
    for role in ROLES {
        let token = minter.mint(
            &Grant {
                subject: &format!("demo-{role}"),
                roles: &[role.to_owned()],
                token_id: Some(&anita_hub::random_token(TOKEN_ID_BYTES)),
                ..Grant::default()
            },
            Timestamp::now(),
            TOKEN_TTL,
        )?;
        tokens.push((role, token));
    }
    let viewer = tokens.first().map(|(_role, token)| token.as_str()).unwrap_or_default();
    println!("ANITA demo: a simulated site; nothing of it is kept.\n");
    println!("  wss      wss://{address}/ws/uwb");
    println!("  https    https://{address}/");
    println!("           self-signed, SHA-256 fingerprint {fingerprint}");
    if address.ip().is_loopback() {
        println!(
            "  plain    http://{address}/ and ws://{address}/ws/uwb: an exception, for this machine only\n"
        );
        println!("Dashboard  http://{address}/#token={viewer}\n");
    } else {
        println!("\nDashboard  https://{address}/#token={viewer}\n");
    }
    println!("Tokens, valid for {} hours:", TOKEN_TTL.as_secs() / 3_600);
    for (role, token) in &tokens {
        println!("  {role:<10} {token}");
    }
    println!("\nTry        anita tail --url wss://{address}/ws/uwb --fingerprint {fingerprint} --token …");
    println!("Ctrl-C ends it.");
    Ok(())
}
