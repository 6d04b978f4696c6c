//! What has to be installed for a suite, and how it gets there: with the system's own package client.

use std::path::Path;
use std::process::Command;

use crate::fault::{Fault, Outcome};
use crate::{process, tools, workspace};

/// Something of the system that a suite needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Mosquitto,
    MosquittoClients,
    Chromium,
    Socat,
    OpenSsl,
    Gdal,
    /// The server and the programs that make one, 15 or newer.
    Postgres,
    PythonVenv,
    Node,
    Npm,
    /// What `npm ci` installs, inside the project.
    NodeModules,
}

impl Need {
    /// Whether it is there.
    fn is_met(self, root: &Path) -> bool {
        match self {
            Self::Mosquitto => tools::is_there("mosquitto"),
            Self::MosquittoClients => tools::is_there("mosquitto_pub") && tools::is_there("mosquitto_sub"),
            Self::Chromium => chromium().is_some(),
            Self::Socat => tools::is_there("socat"),
            Self::OpenSsl => tools::is_there("openssl"),
            Self::Gdal => tools::is_there("ogrinfo"),
            Self::Postgres => super::postgres::programs().is_some(),
            Self::PythonVenv => {
                process::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_some()
            }
            Self::Node => tools::check(&[tools::NODE]).is_ok(),
            Self::Npm => tools::is_there("npm"),
            Self::NodeModules => !workspace::needs_npm_ci(root),
        }
    }

    /// The Debian package that brings it. `None` for what npm installs.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::Mosquitto => Some("mosquitto"),
            Self::MosquittoClients => Some("mosquitto-clients"),
            Self::Chromium => Some("chromium"),
            Self::Socat => Some("socat"),
            Self::OpenSsl => Some("openssl"),
            Self::Gdal => Some("gdal-bin"),
            Self::Postgres => Some("postgresql"),
            Self::PythonVenv => Some("python3-venv"),
            Self::Node => Some("nodejs"),
            Self::Npm => Some("npm"),
            Self::NodeModules => None,
        }
    }

    /// The command for people.
    fn remedy(self) -> String {
        self.package().map_or_else(|| "npm ci".to_owned(), |package| format!("apt-get install {package}"))
    }
}

/// The browser of the system, by the names it has.
pub(crate) fn chromium() -> Option<&'static str> {
    let paths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    paths.into_iter().find(|path| Path::new(path).is_file())
}

/// Those of the needs that are not met.
pub(crate) fn unmet(root: &Path, needs: impl IntoIterator<Item = Need>) -> Vec<Need> {
    let mut unmet: Vec<Need> = Vec::new();
    for need in needs {
        if !unmet.contains(&need) && !need.is_met(root) {
            unmet.push(need);
        }
    }
    unmet
}

/// What to type for what is missing.
pub(crate) fn remedies(needs: &[Need]) -> String {
    needs.iter().map(|need| need.remedy()).collect::<Vec<_>>().join("; ")
}

/// Installs what is missing, as far as this user may. What could not be installed fails its suites later, by name.
pub(crate) fn install(root: &Path, needs: &[Need]) {
    let packages: Vec<&str> = needs.iter().filter_map(|need| need.package()).collect();
    let installed = if packages.is_empty() { Ok(()) } else { install_packages(&packages) };
    let modules = if needs.contains(&Need::NodeModules) && tools::is_there("npm") {
        println!("installing the packages of package-lock.json");
        process::run(&mut workspace::npm(root, &["ci"]))
    } else {
        Ok(())
    };
    for fault in [installed, modules].into_iter().filter_map(Result::err) {
        eprintln!("{fault}");
    }
}

fn install_packages(packages: &[&str]) -> Outcome {
    let list = packages.join(" ");
    let is_root = process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !is_root || !tools::is_there("apt-get") {
        return Err(Fault::new(format!(
            "missing, and only root can install it: run `apt-get install {list}` (or your system's packages of these \
             names), or leave suites out with --skip"
        )));
    }
    println!("installing {list}");
    let apt = |arguments: &[&str]| {
        process::run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
    };
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "-y", "install", "--no-install-recommends"], packages].concat())
}
