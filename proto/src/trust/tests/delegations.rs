//! The search through delegations: role by role, each signed with a key of its own number.

use super::*;
use crate::metadata::SuccinctRoles;

struct World {
    maker: Maker,
    roles: Vec<(String, Targets, u8)>,
    top: Option<Delegations>,
}

fn keys(seed: u8) -> RoleKeys {
    let keyids = [SigningKey::from_seed(&[seed; 32]).public().id()].into();
    RoleKeys { keyids, threshold: 1, extra: BTreeMap::new() }
}

fn to(roles: &[(&str, u8, &str, bool)]) -> Delegations {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
    let all = roles.iter().map(|(_, seed, ..)| (key(*seed).id(), key(*seed))).collect();
    let role = |(name, seed, paths, terminating): &(&str, u8, &str, bool)| DelegatedRole {
        terminating: *terminating,
        ..DelegatedRole::terminating(name, keys(*seed), &[paths])
    };
    Delegations::to(all, roles.iter().map(role).collect())
}

impl World {
    fn new(top: Delegations) -> Self {
        Self { maker: Maker::new(), roles: Vec::new(), top: Some(top) }
    }

    fn role(mut self, name: &str, seed: u8, files: &[&str], delegations: Option<Delegations>) -> Self {
        let targets = files.iter().map(|file| ((*file).to_owned(), Target::of(name.as_bytes()))).collect();
        let head = self.maker.head::<Targets>(SUPPORT);
        self.roles.push((name.into(), Targets { head, targets, delegations, extra: BTreeMap::new() }, seed));
        self
    }

    fn publish(&mut self) {
        let mut targets = self.maker.targets();
        targets.delegations = self.top.take();
        let bytes = sign(&targets, &[self.maker.key(TARGETS)]).unwrap();
        let mut meta: BTreeMap<_, _> = [("targets.json".to_owned(), MetaFile::of(1, &bytes))].into();
        self.maker.files.insert("1.targets.json".into(), bytes);
        for (name, role, seed) in &self.roles {
            let bytes = sign(role, &[SigningKey::from_seed(&[*seed; 32])]).unwrap();
            meta.insert(format!("{name}.json"), MetaFile::of(1, &bytes));
            self.maker.files.insert(format!("1.{}.json", name.replace('/', "%2F")), bytes);
        }
        self.maker.publish_snapshot(meta);
    }

    /// Which role vouches for `path`, and which files were asked for on the way.
    fn find(mut self, path: &str) -> (Result<String, Error>, Vec<String>) {
        self.publish();
        let held = Device::new(&self.maker).held;
        let mut refresh = Refresh::start_anywhere(held, at(NOW)).unwrap();
        refresh.look_for(path).unwrap();
        let mut asked = Vec::new();
        while let Some(want) = refresh.want() {
            let bytes = self.maker.files.get(&want.file).map(Vec::as_slice);
            asked.push(want.file);
            if let Err(error) = refresh.supply(bytes) {
                return (Err(error), asked.split_off(asked.len().min(4)));
            }
        }
        let set = match refresh.finish() {
            Ok(set) => set,
            Err(error) => return (Err(error), asked.split_off(asked.len().min(4))),
        };
        let role = |target: &Target| {
            let name = self.roles.iter().find(|(name, ..)| target.sha256() == Ok(Digest::of(name.as_bytes())));
            name.map_or("targets".to_owned(), |(name, ..)| name.clone())
        };
        (set.target(path).map(role), asked.split_off(4))
    }
}

#[test]
fn children_are_asked_before_siblings_and_only_those_that_are_needed() {
    let world = World::new(to(&[("a", 20, "x/*", false), ("b", 21, "x/*", false), ("c", 22, "y/*", false)]))
        .role("a", 20, &[], Some(to(&[("d", 23, "x/*", false), ("e", 24, "x/q", false)])))
        .role("b", 21, &["x/p"], None)
        .role("c", 22, &["x/p"], None)
        .role("d", 23, &[], None)
        .role("e", 24, &[], None);
    let (found, asked) = world.find("x/p");
    assert_eq!((found, asked), (Ok("b".into()), ["a", "d", "b"].map(|name| format!("1.{name}.json")).to_vec()));
}

#[test]
fn after_a_terminating_delegation_nobody_else_is_asked() {
    let world = World::new(to(&[("a", 20, "x/*", true), ("b", 21, "x/*", false)]))
        .role("a", 20, &[], Some(to(&[("d", 23, "x/*", false)])))
        .role("b", 21, &["x/p"], None)
        .role("d", 23, &[], None);
    let (found, asked) = world.find("x/p");
    assert_eq!((found, asked.len()), (Err(Error::Unlisted { name: "x/p".into() }), 2));
}

#[test]
fn a_role_cannot_vouch_for_what_nobody_delegated_to_it() {
    let world = World::new(to(&[("a", 20, "x/*", false)]))
        .role("a", 20, &["x/p"], Some(to(&[("d", 23, "*", false)])))
        .role("d", 23, &["y"], None);
    assert_eq!(world.find("y").0, Err(Error::Unlisted { name: "y".into() }));
}

#[test]
fn a_cycle_ends() {
    let world = World::new(to(&[("a", 20, "x/*", false)]))
        .role("a", 20, &[], Some(to(&[("b", 21, "x/*", false)])))
        .role("b", 21, &[], Some(to(&[("a", 20, "x/*", false), ("b", 21, "x/*", false)])));
    assert_eq!(world.find("x/p").1.len(), 2);
}

#[test]
fn a_shared_child_is_checked_with_the_keys_of_each_delegator() {
    // `a` gives the child another key than `b`, and the child is signed with b's.
    let world = World::new(to(&[("a", 20, "x/*", false), ("b", 21, "x/*", false)]))
        .role("a", 20, &[], Some(to(&[("child", 30, "x/*", false)])))
        .role("b", 21, &[], Some(to(&[("child", 31, "x/*", false)])))
        .role("child", 31, &["x/p"], None);
    assert_eq!(world.find("x/p").0, Err(Error::Threshold { role: "child".into(), have: 0, need: 1 }));
    // Known from the search for one path, it is checked again on the way to another.
    let world = World::new(to(&[("a", 20, "x/*", false), ("b", 21, "y/*", false)]))
        .role("a", 20, &[], Some(to(&[("child", 31, "x/*", false)])))
        .role("b", 21, &[], Some(to(&[("child", 30, "y/*", false)])))
        .role("child", 31, &["x/p", "y/p"], None);
    assert_eq!(find_two(world, "x/p", "y/p"), Err(Error::Threshold { role: "child".into(), have: 0, need: 1 }));
}

fn find_two(mut world: World, first: &str, second: &str) -> Result<(), Error> {
    world.publish();
    let mut refresh = Refresh::start_anywhere(Device::new(&world.maker).held, at(NOW)).unwrap();
    refresh.look_for(first)?;
    refresh.look_for(second)?;
    while let Some(want) = refresh.want() {
        refresh.supply(world.maker.files.get(&want.file).map(Vec::as_slice))?;
    }
    refresh.finish().map(drop)
}

#[test]
fn every_role_is_brought_where_the_whole_repository_is_judged() {
    let mut world = World::new(to(&[("a", 20, "x/*", true), ("b", 21, "y/*", false)]))
        .role("a", 20, &["x/p", "y/stray"], Some(to(&[("d", 23, "x/*", false)])))
        .role("b", 21, &["y/p"], None)
        .role("d", 23, &["x/q", "y/p"], None);
    world.publish();
    let held = Device::new(&world.maker).held;
    let mut refresh = Refresh::start_anywhere(held, at(NOW)).unwrap().with_every_role();
    while let Some(want) = refresh.want() {
        refresh.supply(world.maker.files.get(&want.file).map(Vec::as_slice)).unwrap();
    }
    let set = refresh.finish().unwrap();
    let own: Vec<_> = set.targets().targets.keys().map(String::as_str).collect();
    let listed: Vec<_> = set.listed().into_iter().map(|(path, _)| path).filter(|path| !own.contains(path)).collect();
    // What lies outside a role's paths is nobody's word, and `y/p` is b's.
    assert_eq!(listed, ["x/p", "x/q", "y/p"]);
    assert_eq!(set.target("y/p").unwrap(), &Target::of(b"b"));
}

#[test]
fn a_role_that_was_not_brought_leaves_what_it_may_list_unknown() {
    let mut world = World::new(to(&[("a", 20, "x/p", false), ("b", 21, "x/*", false)]))
        .role("a", 20, &["x/p"], None)
        .role("b", 21, &["x/p", "x/q"], None);
    world.publish();
    let mut refresh = Refresh::start_anywhere(Device::new(&world.maker).held, at(NOW)).unwrap();
    refresh.look_for("x/q").unwrap();
    while let Some(want) = refresh.want() {
        refresh.supply(world.maker.files.get(&want.file).map(Vec::as_slice)).unwrap();
    }
    let set = refresh.finish().unwrap();
    assert!(set.target("x/q").is_ok());
    assert_eq!(set.target("x/p").map(drop), Err(Error::Unlisted { name: "x/p".into() }));
}

#[test]
fn a_chain_without_end_is_given_up() {
    let mut world = World::new(to(&[("r0", 20, "*", false)]));
    for nth in 0..40 {
        world = world.role(&format!("r{nth}"), 20, &[], Some(to(&[(&format!("r{}", nth + 1), 20, "*", false)])));
    }
    assert_eq!(world.find("p").0, Err(Error::TooManyDelegations { max: limits::DELEGATIONS_MAX }));
}

#[test]
fn the_name_of_a_role_cannot_leave_the_folder() {
    let world = World::new(to(&[("../a", 20, "x", false)])).role("../a", 20, &["x"], None);
    assert_eq!(world.find("x").1, ["1...%2Fa.json"]);
}

#[test]
fn digests_of_paths_choose_among_prefixed_and_succinct_roles() {
    // The SHA-256 of "p" begins with 148de9c5.
    let mut prefixed = to(&[("a", 20, "", false), ("b", 21, "", false)]);
    for (role, prefix) in prefixed.roles.iter_mut().flatten().zip(["15", "148"]) {
        (role.paths, role.path_hash_prefixes) = (None, Some(vec![prefix.into()]));
    }
    let world = World::new(prefixed).role("a", 20, &["p"], None).role("b", 21, &["p"], None);
    assert_eq!(world.find("p").0, Ok("b".into()));

    let key = SigningKey::from_seed(&[20; 32]).public();
    for (bit_length, name) in [(1, "bin-0"), (4, "bin-1"), (8, "bin-14"), (9, "bin-029"), (32, "bin-148de9c5")] {
        let roles = SuccinctRoles { keys: keys(20), bit_length, name_prefix: "bin".into() };
        let (roles, keys) = (Some(roles), [(key.id(), key.clone())].into());
        let delegations = Delegations { keys, roles: None, succinct_roles: roles, extra: BTreeMap::new() };
        let world = World::new(delegations).role(name, 20, &["p"], None);
        assert_eq!(world.find("p").0, Ok(name.into()));
    }
}

#[test]
fn delegations_of_no_shape_that_the_specification_knows_are_refused() {
    let both = |role: &mut DelegatedRole| role.path_hash_prefixes = Some(vec![]);
    let neither = |role: &mut DelegatedRole| role.paths = None;
    let reserved = |role: &mut DelegatedRole| role.name = "snapshot".into();
    for change in [both, neither, reserved] as [fn(&mut DelegatedRole); 3] {
        let mut top = to(&[("a", 20, "x", false)]);
        top.roles.iter_mut().flatten().for_each(change);
        let (found, _) = World::new(top).find("x");
        assert!(matches!(found, Err(Error::Unreadable { .. })), "{found:?}");
    }
}
