//! What the network lets through after the end of support, or while the software that runs is one that
//! somebody changed: rules for the kernel, by `nft`.
//!
//! They stand in a table of their own, which is replaced whole in one step and touches nobody else's.
//! What others refuse stays refused. Whichever posture: the device's own loopback is open, an address
//! can be had and kept, and the owner gets in from the local network, by TCP, on the ports that the
//! maker lists or, if none are listed, on any. The agent goes on asking its server, so that an
//! extension can lift all of it, unless the maker turned that off.

use std::fmt::Write as _;
use std::time::Duration;

use tenure_proto::limits;
use tenure_proto::support::Posture;

use crate::clock::Clock;
use crate::program::{self, Failed};

/// What the rules depend on beside the posture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// TCP ports on which the owner gets in; none named: any.
    pub(crate) ports: Option<Vec<u16>>,
    /// The agent's user and the TCP ports that it calls, if it may.
    pub(crate) updates: Option<(u32, Vec<u16>)>,
}

/// What is local: addresses that no router carries to the world.
const LOCAL_V4: &str = "{ 10.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 }";
const LOCAL_V6: &str = "{ fc00::/7, fe80::/10 }";
/// Groups and calls to everybody that stay on the link, or in the house.
const GROUPS_V4: &str = "{ 224.0.0.0/24, 239.255.0.0/16, 255.255.255.255 }";
const GROUPS_V6: &str = "{ ff02::/16, ff05::/16 }";
/// What has to pass for an address to be had, kept and found.
const NEIGHBOURS: &str = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }";

/// The rules, for `nft -f -`. Applied whole or not at all, as often as one likes.
pub(crate) fn ruleset(posture: Posture, ways: &Ways) -> String {
    let head = "add table inet tenure\ndelete table inet tenure\n".to_owned();
    if posture == Posture::Keep {
        return head;
    }
    let [mut input, mut output] = ["iif", "oif"].map(|side| format!("    {side} lo accept\n    {NEIGHBOURS} accept\n"));
    input.push_str("    udp sport 67 udp dport 68 accept\n    udp sport 547 udp dport 546 accept\n");
    output.push_str("    udp sport 68 udp dport 67 accept\n    udp sport 546 udp dport 547 accept\n");
    let mut forward = String::new();
    if posture == Posture::LocalOnly {
        input.push_str(&local("", "saddr"));
        // Whoever was called as a group answers from its own address, and is let in above.
        let _ =
            write!(output, "{}    ip daddr {GROUPS_V4} accept\n    ip6 daddr {GROUPS_V6} accept\n", local("", "daddr"));
        let _ = write!(
            forward,
            "    ip saddr {LOCAL_V4} ip daddr {LOCAL_V4} accept\n    ip6 saddr {LOCAL_V6} ip6 daddr {LOCAL_V6} accept\n"
        );
    } else {
        let ports = ways.ports.as_ref().map_or_else(|| "1-65535".into(), |ports| list(ports));
        input.push_str(&local(&format!(" tcp dport {ports}"), "saddr"));
        // Answers, and no calls.
        output.push_str(&local(&format!(" tcp sport {ports} tcp flags & (syn | ack) != syn"), "daddr"));
    }
    if let Some((user, ports)) = &ways.updates {
        let ports = list(ports);
        let _ = write!(
            output,
            "    meta skuid {user} tcp dport {ports} accept\n    meta skuid {user} udp dport 53 accept\n{}",
            // The system's own resolver asks for it.
            local(" meta l4proto { tcp, udp } th dport 53", "daddr")
        );
        let _ = write!(
            input,
            "    ct state established tcp sport {ports} accept\n    ct state established udp sport 53 accept\n    \
             ct state established tcp sport 53 accept\n    ct state related meta l4proto {{ icmp, ipv6-icmp }} accept\n"
        );
    }
    let chains = [("input", input), ("forward", forward), ("output", output)].map(|(hook, rules)| {
        format!("  chain {hook} {{\n    type filter hook {hook} priority filter; policy drop;\n{rules}  }}\n")
    });
    format!("{head}table inet tenure {{\n  comment \"{posture}\"\n{}}}\n", chains.concat())
}

/// Rules for both families: what else a packet is, and which of its addresses has to be local.
fn local(what: &str, address: &str) -> String {
    format!("    ip {address} {LOCAL_V4}{what} accept\n    ip6 {address} {LOCAL_V6}{what} accept\n")
}

fn list(ports: &[u16]) -> String {
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("{{ {} }}", ports.join(", "))
}

/// Puts the rules in force.
pub(crate) fn enact(ruleset: &str, clock: &Clock) -> Result<(), Failed> {
    let words = ["nft", "-f", "-"].map(String::from);
    program::feed(&words, ruleset.as_bytes(), Duration::from_secs(limits::POSTURE_S_MAX), clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_posture_is_no_rule_at_all() {
        let ways = Ways { ports: None, updates: Some((990, vec![443])) };
        assert_eq!(ruleset(Posture::Keep, &ways), "add table inet tenure\ndelete table inet tenure\n");
    }

    #[test]
    fn who_is_isolated_hears_the_owner_on_the_listed_ports_and_calls_nobody() {
        let rules = ruleset(Posture::Isolate, &Ways { ports: Some(vec![22, 8480]), updates: None });
        let of = |hook: &str| {
            let chain = rules.split(&format!("chain {hook} {{\n")).nth(1).unwrap();
            chain.split("  }\n").next().unwrap().to_owned()
        };
        assert!(of("input").contains("tcp dport { 22, 8480 }") && !of("input").contains("ct state"));
        assert!(of("output").contains("tcp flags & (syn | ack) != syn") && !of("output").contains("skuid"));
        assert_eq!(of("forward").lines().count(), 1, "{rules}");
    }

    #[test]
    fn who_is_isolated_and_lists_no_port_hears_the_owner_on_any_and_calls_nobody() {
        let rules = ruleset(Posture::Isolate, &Ways::default());
        for (address, version) in [("10.0.0.0/8", "ip"), ("fe80::/10", "ip6")] {
            let of = |side: &str| {
                let mut lines = rules.lines().filter(|line| line.contains(address) && line.contains(side));
                let line = lines.next().unwrap().trim();
                assert!(line.starts_with(version) && lines.next().is_none(), "{rules}");
                line.split("} ").nth(1).unwrap().to_owned()
            };
            assert_eq!(of("saddr"), "tcp dport 1-65535 accept");
            assert_eq!(of("daddr"), "tcp sport 1-65535 tcp flags & (syn | ack) != syn accept");
        }
    }
}
