//! Signing in at a real issuer, as browsers do, and as attackers would.

use std::time::Instant;

use serde_json::{Value, json};

use crate::browser::{Browser, Seen};
use crate::house::{House, until};
use crate::provider::Provider;

/// The view that somebody had before.
const VIEW: &str = "/%23at=1,2,40%26device=tag-7";
pub(crate) const VIEW_AFTER: &str = "/#at=1,2,40&device=tag-7";

pub(crate) struct Scene {
    pub(crate) provider: Provider,
    pub(crate) house: House,
}

/// What is added to `[auth.issuers.sign_in]`.
pub(crate) const CONFIDENTIAL: &str = "client_id = \"board\"\nclient_secret_file = \"client.secret\"\nscopes = [\"openid\", \"viewer\"]\nresource = \"urn:anita\"";

impl Scene {
    /// `None` where there is no issuer to be had.
    async fn open(sign_in: &str) -> Option<Self> {
        Self::open_with("roles_claims = [\"scope\"]\ntoken_type = \"at+jwt\"", sign_in).await
    }

    async fn open_with(issuer: &str, sign_in: &str) -> Option<Self> {
        Some(Self::at(Provider::start()?, issuer, sign_in).await)
    }

    pub(crate) async fn at(mut provider: Provider, issuer: &str, sign_in: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        provider.ask(&format!("redirect http://127.0.0.1:{port}/api/v1/sign-in/oidc/callback"));
        let more = format!(
            "[[auth.issuers]]\nissuer = \"{}\"\ndiscovery = true\nroles_allowed = [\"viewer\"]\n{issuer}\n\
             [auth.issuers.sign_in]\nlabel = \"The company\"\n{sign_in}",
            provider.issuer
        );
        let house = House::open_at(port, &more).await;
        Self { provider, house }
    }

    fn start(&self) -> String {
        format!("{}/api/v1/sign-in/oidc?return={VIEW}", self.house.origin())
    }

    /// The browser is sent to the issuer, and this is where to.
    async fn sent(&self, browser: &mut Browser) -> String {
        let seen = browser.get(&self.start()).await;
        assert_eq!(seen.status, 303, "{}", seen.head);
        let location = seen.location.unwrap();
        assert!(location.starts_with(&self.provider.issuer), "{location}");
        location
    }

    /// The address of our own that the issuer sends the browser back to.
    pub(crate) async fn answered(&self, browser: &mut Browser, login: &str) -> String {
        let address = self.sent(browser).await;
        browser.through_issuer(&address, login).await
    }

    pub(crate) async fn session(&self, browser: &Browser) -> Value {
        let Some(cookie) = browser.cookie(&self.house.origin(), "anita_session") else { return Value::Null };
        let headers = [("cookie", cookie.as_str()), ("origin", &*self.house.origin())];
        self.house.http("GET", "/api/v1/session", &headers, "").await.body
    }

    /// The browser has landed on the page with this word, and nobody is signed in.
    pub(crate) async fn refused(&self, browser: &Browser, seen: Seen, word: &str, view: &str) {
        let Seen { status, head, location } = seen;
        assert_eq!(status, 303, "{head}");
        let (path, fragment) = view.split_once('#').unwrap_or((view, ""));
        let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
        let expected = format!("{}{path}?sign_in_error={word}{fragment}", self.house.origin());
        assert_eq!(location, Some(expected));
        assert!(self.session(browser).await["user_id"].is_null(), "{word}");
        assert!(browser.cookie(&self.house.origin(), "anita_session").is_none(), "{word}");
        let metrics = self.house.http_text("/metrics").await;
        let counted =
            format!("anita_sign_in_outcomes_total{{issuer=\"{}\",outcome=\"{word}\"}}", self.provider.issuer);
        assert!(metrics.contains(&counted), "{word}");
    }
}

/// An address with another value of a parameter; `None` takes it away.
fn with(address: &str, name: &str, value: Option<&str>) -> String {
    let (before, query) = address.split_once('?').unwrap();
    let pairs = query.split('&').filter(|pair| pair.split('=').next() != Some(name)).map(str::to_owned);
    let pairs = pairs.chain(value.map(|value| format!("{name}={value}")));
    format!("{before}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn value_of<'a>(address: &'a str, name: &str) -> &'a str {
    let query = address.split_once('?').unwrap().1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_the_issuer_comes_back_to_the_same_view_and_signs_out() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let (house, mut browser) = (&scene.house, Browser::default());
    let page = house.http("GET", "/api/v1/page", &[], "").await.body;
    let way = json!({ "method": "oidc", "label": "The company", "address": "/api/v1/sign-in/oidc" });
    assert_eq!(page["sign_in"], json!([way, { "method": "token" }]));

    let seen = browser.get(&scene.start()).await;
    let cookie = seen.head.lines().find(|line| line.starts_with("set-cookie: anita_sign_in=")).unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let address = seen.location.unwrap();
    for (name, value) in
        [("response_type", "code"), ("code_challenge_method", "S256"), ("client_id", "board")]
    {
        assert_eq!(value_of(&address, name), value);
    }
    let back = browser.through_issuer(&address, "alice").await;
    assert_eq!(value_of(&back, "state"), value_of(&address, "state"));
    let seen = browser.get(&back).await;
    assert_eq!(seen.location, Some(format!("{}{VIEW_AFTER}", house.origin())), "{}", seen.head);
    let set: Vec<&str> = seen.head.lines().filter(|line| line.starts_with("set-cookie: ")).collect();
    let [session] = set.as_slice() else { panic!("{set:?}") };
    assert!(session.contains("HttpOnly; SameSite=Strict") && session.contains("Path=/"), "{session}");
    assert!(!seen.head.contains("eyJ"), "no token reaches the browser: {}", seen.head);

    let shown = scene.session(&browser).await;
    assert_eq!((&shown["user_id"], &shown["roles"]), (&json!("alice"), &json!(["viewer"])));
    let cookie = browser.cookie(&house.origin(), "anita_session").unwrap();
    let headers = [("cookie", cookie.as_str()), ("origin", &*house.origin())];
    let mut socket = house.connect("/ws/uwb", &headers).await.unwrap();
    assert_eq!(socket.welcomed().await["user_id"], "alice");

    assert_eq!(house.http("DELETE", "/api/v1/session", &headers, "").await.status, 204);
    assert_eq!(socket.closed().await, 4509);
    assert_eq!(house.http("GET", "/api/v1/session", &headers, "").await.status, 401);
    let root = crate::house::token("root", "admin", "r");
    let is_sign_in =
        |it: &Value| it["action"] == "sign in" && it["object"].as_str().unwrap().starts_with("page");
    house.until_trail("subject=alice", &root, |entries| entries.iter().any(is_sign_in)).await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_token_can_say_what_somebody_may_do_and_a_public_client_has_no_secret() {
    let sign_in = "client_id = \"public-board\"\nrights = \"id_token\"";
    let Some(scene) = Scene::open_with("audience = \"anita\"", sign_in).await else { return };
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "alice").await;
    browser.get(&back).await;
    let shown = scene.session(&browser).await;
    assert_eq!((&shown["user_id"], &shown["roles"]), (&json!("alice"), &json!(["viewer"])));

    // Whom the issuer knows and gives nothing is told so.
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "nobody").await;
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "no_rights", VIEW_AFTER).await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_once_for_one_browser_and_one_issuer() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let mut browser = Browser::default();

    // A state that nobody has.
    let back = scene.answered(&mut browser, "alice").await;
    for state in [Some("guessed"), None] {
        let seen = browser.get(&with(&back, "state", state)).await;
        scene.refused(&browser, seen, "expired", "/").await;
    }
    // Login CSRF: somebody gives the answer to their own sign-in to another browser, which is signed in nowhere, or
    // is signing in itself.
    let mut victim = Browser::default();
    let seen = victim.get(&back).await;
    scene.refused(&victim, seen, "other_browser", VIEW_AFTER).await;
    let back = scene.answered(&mut browser, "mallory").await;
    scene.sent(&mut victim).await;
    let seen = victim.get(&back).await;
    scene.refused(&victim, seen, "other_browser", VIEW_AFTER).await;
    // It is used up by that.
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "expired", "/").await;

    // An answer that says it is another issuer's, or nobody's.
    for issuer in [Some("https%3A%2F%2Fevil.example"), None, Some("")] {
        let back = scene.answered(&mut browser, "alice").await;
        let seen = browser.get(&with(&back, "iss", issuer)).await;
        scene.refused(&browser, seen, "other_issuer", VIEW_AFTER).await;
    }
    let other_way = scene.answered(&mut browser, "alice").await.replace("/oidc/", "/other/");
    assert_eq!(browser.get(&other_way).await.status, 404);

    // A parameter that is there twice.
    for (more, word, view) in [("code=x", "invalid_answer", VIEW_AFTER), ("state=x", "expired", "/")] {
        let back = scene.answered(&mut browser, "alice").await;
        let seen = browser.get(&format!("{back}&{more}")).await;
        scene.refused(&browser, seen, word, view).await;
    }

    // After all that, who signs in is signed in; and the same answer again does nothing.
    let back = scene.answered(&mut browser, "alice").await;
    browser.get(&back).await;
    assert_eq!(scene.session(&browser).await["user_id"], "alice");
    browser.forget(&scene.house.origin(), "anita_session");
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "expired", "/").await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_only_for_the_sign_in_it_was_made_for() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let (mut browser, mut thief) = (Browser::default(), Browser::default());

    // A stolen code in the thief's own sign-in: the verifier is another.
    let stolen = scene.answered(&mut browser, "alice").await;
    let own = scene.answered(&mut thief, "mallory").await;
    let seen = thief.get(&with(&own, "code", Some(value_of(&stolen, "code")))).await;
    scene.refused(&thief, seen, "issuer_refused", VIEW_AFTER).await;

    // A code that was exchanged already.
    let back = scene.answered(&mut browser, "alice").await;
    browser.get(&back).await;
    assert_eq!(scene.session(&browser).await["user_id"], "alice");
    browser.forget(&scene.house.origin(), "anita_session");
    let own = scene.answered(&mut browser, "alice").await;
    let seen = browser.get(&with(&own, "code", Some(value_of(&back, "code")))).await;
    scene.refused(&browser, seen, "issuer_refused", VIEW_AFTER).await;

    // Codes of no shape.
    for code in [Some("guessed"), Some(""), None] {
        let back = scene.answered(&mut browser, "alice").await;
        let seen = browser.get(&with(&back, "code", code)).await;
        let word = if code == Some("guessed") { "issuer_refused" } else { "invalid_answer" };
        scene.refused(&browser, seen, word, VIEW_AFTER).await;
    }

    // A question to the issuer that was changed on its way: another nonce, another challenge.
    let address = scene.sent(&mut browser).await;
    let back = browser.through_issuer(&with(&address, "nonce", Some("another")), "alice").await;
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "bad_token", VIEW_AFTER).await;
    let address = scene.sent(&mut browser).await;
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let back = browser.through_issuer(&with(&address, "code_challenge", Some(challenge)), "alice").await;
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "issuer_refused", VIEW_AFTER).await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_refuses_is_said_in_a_word_and_nothing_else_comes_into_the_page() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let mut browser = Browser::default();
    let table = [
        ("access_denied", "cancelled"),
        ("temporarily_unavailable", "issuer_unavailable"),
        ("invalid_scope", "misconfigured"),
        ("login_required", "issuer_refused"),
        ("%3Cscript%3Ealert(1)%3C%2Fscript%3E", "issuer_refused"),
    ];
    for (error, word) in table {
        let address = scene.sent(&mut browser).await;
        let issuer = scene.provider.issuer.replace(':', "%3A").replace('/', "%2F");
        let back = format!(
            "{}/api/v1/sign-in/oidc/callback?state={}&iss={issuer}&error={error}&error_description=%0d%0aset-cookie:a=b",
            scene.house.origin(),
            value_of(&address, "state")
        );
        let seen = browser.get(&back).await;
        scene.refused(&browser, seen, word, VIEW_AFTER).await;
    }
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_to_the_page_or_the_issuer_and_nowhere_else() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let mut browser = Browser::default();
    for path in
        ["https://evil.example", "//evil.example", "/%5Cevil.example", "/api/v1/session", "%0d%0aa:%20b"]
    {
        let start = format!("{}/api/v1/sign-in/oidc?return={path}", scene.house.origin());
        let address = browser.get(&start).await.location.unwrap();
        let back = browser.through_issuer(&address, "alice").await;
        let seen = browser.get(&back).await;
        assert_eq!(seen.location, Some(format!("{}/", scene.house.origin())), "{path}");
    }
    // A foreign page signs nobody in, not even as themselves; and whoever came by another name goes to the public one.
    let seen = browser.ask("GET", &scene.start(), &[("sec-fetch-site", "cross-site")], "").await;
    assert_eq!(seen.location, Some(format!("{}{VIEW_AFTER}", scene.house.origin())));
    let port = scene.house.running.address().port();
    let seen = browser.get(&format!("http://localhost:{port}/api/v1/sign-in/oidc?return={VIEW}")).await;
    let moved = seen.location.unwrap();
    assert!(moved.starts_with(&format!("{}/api/v1/sign-in/oidc?", scene.house.origin())), "{moved}");
    let seen = browser.get(&moved).await;
    let sent_to = seen.location.unwrap();
    assert!(sent_to.starts_with(&scene.provider.issuer), "{sent_to}");
    assert_eq!(browser.get(&format!("{}/api/v1/sign-in/other", scene.house.origin())).await.status, 404);
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_freezes_or_is_gone_costs_a_sign_in_and_nothing_else() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "alice").await;
    scene.provider.signal("STOP");
    let started = Instant::now();
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "issuer_unavailable", VIEW_AFTER).await;
    assert!(started.elapsed() < crate::house::PATIENCE, "{:?}", started.elapsed());
    let own = crate::house::token("bob", "viewer", "t1");
    assert_eq!(scene.house.ask("GET", "/api/v1/session", &own, "").await.status, 200);
    scene.provider.signal("CONT");
    let back = scene.answered(&mut browser, "alice").await;
    scene.provider.signal("KILL");
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "issuer_unavailable", VIEW_AFTER).await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_the_operators_to_mend_and_is_told_to_nobody_else() {
    let sign_in = CONFIDENTIAL.replace("client.secret", "jwt.secret");
    let Some(scene) = Scene::open(&sign_in).await else { return };
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "alice").await;
    let seen = browser.get(&back).await;
    scene.refused(&browser, seen, "misconfigured", VIEW_AFTER).await;
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_is_refused_and_whoever_is_in_notices_nothing() {
    let Some(scene) = Scene::open(CONFIDENTIAL).await else { return };
    let mut browser = Browser::default();
    scene.sent(&mut browser).await;
    let expected = format!("{}/?sign_in_error=rate_limited#at=1,2,40&device=tag-7", scene.house.origin());
    until("a refusal", || async {
        // Together: one after the other may be slower than what is allowed.
        let flood =
            (0..40).map(|_| async { Browser::default().ask("GET", &scene.start(), &[], "").await.location });
        futures_util::future::join_all(flood).await.contains(&Some(expected.clone()))
    })
    .await;
    let own = crate::house::token("bob", "viewer", "t1");
    assert_eq!(scene.house.ask("GET", "/api/v1/session", &own, "").await.status, 200);
    scene.house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_to_sign_out_at_the_issuer_is_told_if_that_is_wanted_and_to_the_session_alone() {
    for (more, is_wanted) in [("", false), ("\nsign_out_at_issuer = true", true)] {
        let Some(scene) = Scene::open(&format!("{CONFIDENTIAL}{more}")).await else { return };
        let mut browser = Browser::default();
        let back = scene.answered(&mut browser, "alice").await;
        browser.get(&back).await;
        let told = scene.session(&browser).await["sign_out_at"].clone();
        let home = scene.house.origin().replace(':', "%3A").replace('/', "%2F");
        let expected = format!(
            "{}/session/end?client_id=board&post_logout_redirect_uri={home}%2F",
            scene.provider.issuer
        );
        assert_eq!(told, if is_wanted { json!(expected) } else { Value::Null });
        // A token of another issuer has no place to sign out at, nor has the same person's token by itself.
        let own = crate::house::token("alice", "viewer", "t1");
        let shown = scene.house.ask("GET", "/api/v1/session", &own, "").await;
        assert_eq!((shown.status, &shown.body["sign_out_at"]), (200, &Value::Null));
        scene.house.running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_fresh_tokens_and_ends_when_the_issuer_ends_it() {
    let sign_in = CONFIDENTIAL.replace("\"urn:anita\"", "\"urn:anita:short\"");
    let Some(mut scene) = Scene::open(&sign_in).await else { return };
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "alice").await;
    let seen = browser.get(&back).await;
    assert!(seen.head.contains("Max-Age=43200"), "{}", seen.head);
    let cookie = browser.cookie(&scene.house.origin(), "anita_session").unwrap();
    let headers = [("cookie", cookie.as_str()), ("origin", &*scene.house.origin())];
    let mut socket = scene.house.connect("/ws", &headers).await.unwrap();
    let hello = socket.welcomed().await;
    // Three lives of a token, on one socket, which hears of each.
    let mut ends = hello["expires_at"].as_str().unwrap().to_owned();
    for _renewal in 0..3 {
        let told = loop {
            let told = socket.hear().await.unwrap();
            if told["type"] == "system.token_refreshed" {
                break told;
            }
        };
        let next = told["payload"]["expires_at"].as_str().unwrap().to_owned();
        assert!(next > ends, "{next} after {ends}");
        ends = next;
        assert_eq!(scene.session(&browser).await["user_id"], "alice");
    }
    let metrics = scene.house.http_text("/metrics").await;
    assert!(metrics.contains("anita_session_renewals_total{"), "{metrics}");

    // The issuer has enough of her: the session ends with its last token, and the socket with it.
    scene.provider.ask("end alice");
    assert_eq!(socket.closed().await, 4401);
    until("the end of the session", || async { scene.session(&browser).await["user_id"].is_null() }).await;
    scene.house.running.stop().await.unwrap();
}
