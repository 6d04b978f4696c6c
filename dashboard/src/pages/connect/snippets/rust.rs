//! Reports where something is. Needs `anita-client`, `serde_json` and `tokio`.

use anita_client::{Live, LiveOptions, Options, Token};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::new("ws://127.0.0.1:8080/ws");
    options.token = Some(Token::new(std::env::var("ANITA_TOKEN")?));
    let anita = Live::start(LiveOptions::new(options));
    let fix = json!({"device_id": "cart-7", "location": {"x": 1.5, "y": 2, "z": 0}});
    println!("{}", anita.request("report_location", &fix).await?.text);
    anita.close().await;
    Ok(())
}
