//! A stolen `fetchd`: `hostile-fetchd SOCKET CONNECTIONS` opens so many connections to the installer,
//! asks for what only a person may have, and holds on. It says on standard output what came of it.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_tests::channel::Channel;
use tenure_tests::failure::{Context as _, Result};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let socket = words.next().context("which socket?")?;
    let count: usize = words.next().and_then(|word| word.parse().ok()).context("how many connections?")?;
    let mut connections: Vec<_> = (0..count).map(|_| Channel::connect(Path::new(&socket))).collect();
    let orders = [
        json!({"ask": "confirm"}),
        json!({"ask": "roll_back"}),
        json!({"ask": "retry", "version": "1.1.0"}),
        json!({"ask": "restart_now"}),
        json!({"ask": "defer", "until": {"for_s": 604_800}}),
        json!({"ask": "refresh", "bundle": true}),
    ];
    let answers = orders.map(|order| {
        let first = connections.first_mut().and_then(|channel| channel.as_mut().ok());
        let answer = first.map_or(Value::Null, |channel| channel.ask(&order, b"").unwrap_or_default());
        json!({"order": order, "answer": answer})
    });
    let served = connections.iter_mut().flatten().map(|channel| channel.ask(&json!({"ask": "status"}), b""));
    let said = json!({"served": served.flatten().count(), "orders": answers});
    writeln!(std::io::stdout(), "{said}").context("nobody listens")?;
    std::thread::sleep(Duration::from_mins(5));
    Ok(())
}
