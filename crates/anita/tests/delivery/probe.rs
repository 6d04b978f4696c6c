use serde_json::json;
use crate::house::House;
use crate::{TAGS, Watcher, round_of};
#[tokio::test]
async fn probe() {
    for buffer in ["send_buffer_bytes = 8192", "send_buffer_bytes = 65536", ""] {
        for mode in ["batch", "single", "columns"] {
            let house = House::open(buffer, "").await;
            let mut publisher = house.client("publisher").await;
            publisher.report(round_of(TAGS, 0)).await;
            let mut w = Watcher::new(house.client("viewer").await, &json!({"mode": mode})).await;
            let mut times = Vec::new();
            for round in 1..=40 {
                let s = std::time::Instant::now();
                publisher.report(round_of(TAGS, round)).await;
                let acked = s.elapsed().as_millis();
                w.hear_round(TAGS, round).await;
                times.push((acked, s.elapsed().as_millis()));
            }
            println!("PROBE {buffer} {mode} {times:?}");
            house.stop().await;
        }
    }
}
