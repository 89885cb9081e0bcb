//! How a device is there in the local network: it asks whether its name is free, says that it is there, gives way
//! to who had the name before, and takes it all back at the end (RFC 6762, 8 to 10).

use std::time::Duration;

use tenure_proto::limits;

use super::mdns::{Message, Service, cut};

/// How often it is asked for a name, and how long is waited for an answer.
const PROBES: u8 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How often it is said what is new, and how far apart: anything may get lost.
const WORDS: u8 = 2;
const WORD_EVERY: Duration = Duration::from_secs(1);
/// How long who has lost a name often waits for an answer.
const AFTER_LOSSES: Duration = Duration::from_secs(5);

/// What is about to be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// So many questions for the name are left.
    Probing(u8),
    /// So many announcements are left.
    Telling(u8),
}

/// See above.
#[derive(Debug)]
pub(crate) struct Presence {
    /// As it would be called if nobody else were.
    wanted: Option<Service>,
    /// How many names were another's.
    losses: u32,
    phase: Phase,
    due: Duration,
}

impl Presence {
    /// Begins at this time since the start.
    pub(crate) fn new(now: Duration) -> Self {
        Self { wanted: None, losses: 0, phase: Phase::Probing(PROBES), due: now }
    }

    /// Takes in what there is to say now. Another name is asked for first; other facts are said at once.
    pub(crate) fn follow(&mut self, service: Option<Service>, now: Duration) {
        if service == self.wanted {
            return;
        }
        let place =
            |service: &Option<Service>| service.as_ref().map(|service| (service.instance.clone(), service.port));
        let moved = place(&service) != place(&self.wanted);
        self.wanted = service;
        match self.phase {
            Phase::Telling(_) if !moved => (self.phase, self.due) = (Phase::Telling(WORDS), now),
            _ if moved => self.begin(now),
            Phase::Probing(_) | Phase::Telling(_) => {}
        }
    }

    /// Asks for the name anew: there is a new network, or somebody claims it.
    pub(crate) fn begin(&mut self, now: Duration) {
        (self.phase, self.due) = (Phase::Probing(PROBES), now);
    }

    /// What is said of this device, under the name that it has.
    pub(crate) fn service(&self) -> Option<Service> {
        let mut service = self.wanted.clone()?;
        if self.losses > 0 {
            let number = self.losses + 1;
            service.instance = format!("{} ({number})", cut(&service.instance, 50));
            service.host = format!("{}-{number}", service.host);
        }
        Some(service)
    }

    /// Whether questions are answered: not before the name is ours.
    pub(crate) fn answers(&self) -> bool {
        matches!(self.phase, Phase::Telling(_))
    }

    /// What everybody is to hear at this time.
    pub(crate) fn say(&mut self, now: Duration) -> Option<Vec<u8>> {
        let service = self.service().filter(|_| now >= self.due)?;
        match self.phase {
            Phase::Probing(0) => {
                (self.phase, self.due) = (Phase::Telling(WORDS - 1), now + WORD_EVERY);
                Some(service.announcement())
            }
            Phase::Probing(left) => {
                let wait = if self.losses > limits::MDNS_LOSSES_MAX { AFTER_LOSSES } else { PROBE_EVERY };
                (self.phase, self.due) = (Phase::Probing(left - 1), now + wait);
                Some(service.probe())
            }
            Phase::Telling(0) => None,
            Phase::Telling(left) => {
                (self.phase, self.due) = (Phase::Telling(left - 1), now + WORD_EVERY);
                Some(service.announcement())
            }
        }
    }

    /// How long nothing is due.
    pub(crate) fn rests(&self, now: Duration) -> Duration {
        let idle = self.wanted.is_none() || self.phase == Phase::Telling(0);
        if idle { Duration::MAX } else { self.due.saturating_sub(now) }
    }

    /// Hears what others say of our name.
    pub(crate) fn hear(&mut self, message: &Message, now: Duration) {
        let Some(service) = self.service() else { return };
        match self.phase {
            Phase::Probing(_) if service.is_contested(message) => {
                self.losses = self.losses.saturating_add(1);
                self.begin(now + PROBE_EVERY);
            }
            // The other one goes first, and we ask again once it has said what it is.
            Phase::Probing(_) if service.loses_to(message) => self.begin(now + WORD_EVERY),
            Phase::Telling(_) if service.is_contested(message) => self.begin(now),
            Phase::Probing(_) | Phase::Telling(_) => {}
        }
    }

    /// The last word, if anything was said.
    pub(crate) fn goodbye(&self) -> Option<Vec<u8>> {
        self.service().filter(|_| self.answers()).map(|service| service.goodbye())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mdns;
    use super::*;

    fn service(host: &str) -> Service {
        Service { instance: "ACME Gateway 1".into(), host: host.into(), port: 9, texts: vec!["ended=0".into()] }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What it says until nothing is due, and when.
    fn says(presence: &mut Presence, mut now: Duration, until: Duration) -> Vec<(Duration, Vec<u8>)> {
        let mut said = Vec::new();
        while now <= until {
            said.extend(presence.say(now).map(|packet| (now, packet)));
            now += at(50);
        }
        said
    }

    #[test]
    fn a_name_is_asked_for_three_times_then_told_twice_and_answered_for_from_then_on() {
        let mut presence = Presence::new(at(0));
        assert!(presence.say(at(0)).is_none() && presence.goodbye().is_none(), "nothing is known yet");
        presence.follow(Some(service("a")), at(0));
        let said = says(&mut presence, at(0), at(700));
        assert_eq!(said.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [0, 250, 500]);
        assert!(said.iter().all(|(_, packet)| *packet == service("a").probe()) && !presence.answers());
        let said = says(&mut presence, at(750), at(9000));
        assert_eq!(said, [at(750), at(1750)].map(|at| (at, service("a").announcement())));
        assert!(presence.answers() && presence.rests(at(9000)) == Duration::MAX);
        // What is new is told twice, without asking for the name again.
        let changed = Service { texts: vec!["ended=1".into()], ..service("a") };
        presence.follow(Some(changed.clone()), at(9000));
        assert_eq!(
            says(&mut presence, at(9000), at(20_000)),
            [at(9000), at(10_000)].map(|at| (at, changed.announcement()))
        );
        assert_eq!(presence.goodbye(), Some(changed.goodbye()));
    }

    #[test]
    fn who_had_the_name_keeps_it_and_of_two_at_once_one_gets_it() {
        let mut presence = Presence::new(at(0));
        presence.follow(Some(service("a")), at(0));
        assert!(presence.say(at(0)).is_some());
        presence.hear(&mdns::parse(&service("b").announcement()).unwrap(), at(100));
        let name = presence.service().unwrap();
        assert_eq!((name.instance.as_str(), name.host.as_str()), ("ACME Gateway 1 (2)", "a-2"));
        assert_eq!(says(&mut presence, at(100), at(1100)).len(), 4, "the new name is asked for, too");
        assert!(presence.answers());
        // Somebody claims it later: it is asked for again, and given away only if it is defended.
        let thief = Service { host: "c".into(), ..name.clone() };
        presence.hear(&mdns::parse(&thief.announcement()).unwrap(), at(5000));
        assert!(!presence.answers() && presence.service() == Some(name));

        let [mut low, mut high] = ["a", "b"].map(|host| {
            let mut presence = Presence::new(at(0));
            presence.follow(Some(service(host)), at(0));
            presence
        });
        let (from_low, from_high) = (low.say(at(0)).unwrap(), high.say(at(0)).unwrap());
        low.hear(&mdns::parse(&from_high).unwrap(), at(10));
        high.hear(&mdns::parse(&from_low).unwrap(), at(10));
        assert_eq!((low.rests(at(10)), high.rests(at(10))), (at(1000), at(240)), "the greater one goes on");
    }
}
