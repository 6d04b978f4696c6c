//! A browser without pages: it goes where it is sent, keeps cookies by host and port, and fills in the forms of the issuer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often a browser lets itself be sent on.
const STEPS_MAX: usize = 20;

pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) location: Option<String>,
}

#[derive(Default)]
pub(crate) struct Browser {
    /// By `host:port`, then by name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// `host:port` and the path of an address.
fn parts(address: &str) -> (&str, String) {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('#').next().unwrap();
    (host, format!("/{path}"))
}

/// The address that a page is sent to by a `Location`.
fn joined(address: &str, location: &str) -> String {
    if location.starts_with("http") {
        return location.to_owned();
    }
    format!("http://{}{location}", parts(address).0)
}

impl Browser {
    /// Where there were too many sign-ins of this address in a second, as a person does: again a little later.
    pub(crate) async fn get(&mut self, address: &str) -> Seen {
        loop {
            let seen = self.ask("GET", address, &[], "").await;
            let is_too_much = |location: &String| location.contains("sign_in_error=rate_limited");
            if !seen.location.as_ref().is_some_and(is_too_much) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        address: &str,
        headers: &[(&str, &str)],
        form: &str,
    ) -> Seen {
        let (host, path) = parts(address);
        let kept = self.cookies.entry(host.to_owned()).or_default();
        let cookies =
            kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        if !cookies.is_empty() {
            request += &format!("cookie: {cookies}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            request += "content-type: application/x-www-form-urlencoded\r\n";
        }
        request += &format!("content-length: {}\r\n\r\n{form}", form.len());
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, _body) = answer.split_once("\r\n\r\n").unwrap();
        let header = |line: &str, wanted: &str| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        };
        for line in head.lines().filter_map(|line| header(line, "set-cookie")) {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            kept.insert(name.to_owned(), value.to_owned());
        }
        Seen {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            location: head.lines().find_map(|line| header(line, "location")).map(|it| joined(address, &it)),
            head: head.to_owned(),
        }
    }

    /// Its cookies for a server, as a header.
    pub(crate) fn cookie(&self, origin: &str, name: &str) -> Option<String> {
        self.cookies.get(parts(origin).0)?.get(name).map(|value| format!("{name}={value}"))
    }

    pub(crate) fn forget(&mut self, origin: &str, name: &str) {
        self.cookies.get_mut(parts(origin).0).and_then(|kept| kept.remove(name));
    }

    /// Goes to the issuer and signs in there: the address that it is sent back to, without going there.
    pub(crate) async fn through_issuer(&mut self, address: &str, login: &str) -> String {
        let issuer = parts(address).0.to_owned();
        let mut forms = vec!["prompt=consent".to_owned(), format!("prompt=login&login={login}&password=any")];
        let mut address = address.to_owned();
        for _step in 0..STEPS_MAX {
            let seen = if address.contains("/interaction/") {
                self.ask("POST", &address, &[], &forms.pop().unwrap()).await
            } else {
                self.get(&address).await
            };
            address = seen.location.unwrap_or_else(|| panic!("{} at {address}: {}", seen.status, seen.head));
            if parts(&address).0 != issuer {
                return address;
            }
        }
        panic!("signing in does not end");
    }
}
