//! Whatever a neighbour sends to the local page, the smart home's connection, the bus or the network is read or refused.
#![no_main]
#![expect(dead_code, reason = "the agent uses all of it, this target a part")]

use libfuzzer_sys::fuzz_target;

#[path = "../../agent/src/tell/dbus.rs"]
mod dbus;
#[path = "../../agent/src/tell/mdns.rs"]
mod mdns;
#[path = "../../agent/src/tell/mqtt.rs"]
mod mqtt;
#[path = "../../agent/src/tell/presence.rs"]
mod presence;
#[path = "../../agent/src/tell/request.rs"]
mod request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = request::read(&mut &bytes[..]) {
        assert!(request.body.len() <= tenure_proto::limits::PAGE_BODY_BYTES_MAX);
        let _ = (request::field(&request.body, "id"), request.is_for_us(), request.is_from_us());
    }
    let (mut reader, mut rest) = (mqtt::Reader::default(), bytes);
    while !rest.is_empty() && reader.read(&mut rest).is_ok() {}
    if let Some(Ok(length)) = dbus::whole(bytes) {
        assert!(length <= tenure_proto::limits::BUS_MESSAGE_BYTES_MAX);
    }
    let _ = dbus::parse(bytes);
    if let Some(query) = mdns::parse(bytes) {
        let service = mdns::Service { instance: "A".into(), host: "b".into(), port: 9, texts: vec!["c=d".into()] };
        let _ = (service.answer(&query, mdns::To::All, None), service.answer(&query, mdns::To::Once, None));
        let now = std::time::Duration::ZERO;
        let mut presence = presence::Presence::new(now);
        presence.follow(Some(service), now);
        presence.hear(&query, now);
        let _ = (presence.say(now), presence.rests(now));
    }
});
