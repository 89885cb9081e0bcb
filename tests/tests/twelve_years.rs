//! The whole life of a product, with a real server and a real device: sold, updated, switched off for
//! a year, its promise extended, its root of trust renewed, its support ended, and used for years more.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use tenure_proto::time::Day;
use tenure_tests::api::Api;
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

/// The years that are promised at first.
const PROMISED: i16 = 7;
/// The years that are promised in the end.
const EXTENDED: i16 = 9;

struct Life {
    stage: Stage,
    server: Server,
    board: Board,
    sold: Day,
}

impl Life {
    fn begin() -> Result<Self> {
        let mut stage = Stage::set("twelve-years")?;
        let sold = stage.world.clock().today();
        stage.ends = sold.plus_years(PROMISED);
        stage.maker.extend(stage.ends)?;
        let server = stage.start_server()?;
        let token = stage.maker.device_token()?;
        let board = stage.settled_board(&server.url(), Some(&token))?;
        Ok(Self { stage, server, board, sold })
    }

    /// Moves everybody's clock to noon of a day. The server keeps its own metadata fresh.
    fn move_to(&mut self, day: Day) -> Result<()> {
        let noon = day.midnight_utc().plus_s(12 * 3600);
        self.stage.world.clock_mut().set(noon)?;
        self.board.clock().set(noon)
    }

    /// What offline keys signed is valid for ten years: they sign it anew, with the next root.
    fn renew_offline(&self) -> Result<()> {
        let (maker, file) = (&self.stage.maker, self.stage.world.path("root.json").display().to_string());
        maker.run(&["root", "propose", MODEL, "--renew", "--out", &file])?;
        maker.run(&["root", "sign", &file])?;
        maker.run(&["root", "publish", MODEL, &file])?;
        maker.run(&["model", "renew", MODEL, "--offline-roles"])?;
        maker.push().map(drop)
    }

    fn publish_and_update(&mut self, version: &str) -> Result<()> {
        let image = self.stage.publish(version, Health::Good)?;
        self.stage.maker.push()?;
        self.board.knows(&image);
        self.board.wake()?;
        self.board.run_until_settled(version, UPDATE_LIMIT)?;
        Ok(())
    }

    fn page(&self) -> Result<String> {
        let answer = Api::anonymous(&self.server.url()).get(&format!("/p/{MODEL}"))?;
        ensure!(answer.status == 200, "expected the public page, saw {}", answer.status);
        Ok(answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// What the owner was told of the support period, by name.
    fn told(&self) -> Result<Vec<String>> {
        let json = self.board.run(&["notices", "--json"])?.json()?;
        let notices = json.get("notices").unwrap_or(&json).as_array().cloned().unwrap_or_default();
        let ids = notices.iter().filter_map(|notice| Some(notice.get("id")?.as_str()?.to_owned()));
        let is_of_an_update =
            |id: &String| ["available", "installed", "failed"].iter().any(|kind| id.starts_with(kind));
        Ok(ids.filter(|id| !is_of_an_update(id)).collect())
    }

    fn wait_until_told(&mut self, id: &str) -> Result<()> {
        self.board.wake()?;
        self.board.run_until(&format!("the owner is told {id}"), UPDATE_LIMIT, |board| {
            let told = board.run(&["notices", "--json"])?.stdout;
            Ok(told.contains(&format!("\"{id}\"")).then_some(()))
        })
    }

    fn holds(&mut self, ends: Day) -> Result<()> {
        self.board.wake()?;
        self.board.run_until(&format!("the device holds {ends}"), UPDATE_LIMIT, |board| {
            Ok(board.status()?.filter(|status| status.support_ends() == Some(ends.to_string().as_str())))
        })?;
        Ok(())
    }
}

#[test]
fn a_product_is_kept_safe_and_its_owner_told_the_truth_for_twelve_years() -> Result<()> {
    let mut life = Life::begin()?;
    let promised = life.sold.plus_years(PROMISED);
    ensure!(life.told()? == [format!("set-up-{promised}")], "expected the set-up notice, saw {:?}", life.told()?);

    life.move_to(life.sold.plus_years(1))?;
    life.publish_and_update("1.1.0")?;

    // A year in a drawer: the shop's stock, a house that is let.
    life.board.shut_down()?;
    life.move_to(life.sold.plus_years(2))?;
    life.move_to(life.sold.plus_years(3))?;
    life.board.power_on()?;
    life.publish_and_update("1.3.0")?;

    // The promise grows, and nobody takes it back.
    let extended = life.sold.plus_years(EXTENDED);
    life.move_to(life.sold.plus_years(4))?;
    life.stage.maker.extend(extended)?;
    life.stage.maker.push()?;
    life.holds(extended)?;
    ensure!(life.page()?.contains(&extended.in_words()), "the page shows the later day");
    let back = life.stage.maker.attempt(&["support", "extend", MODEL, "--ends", &promised.to_string()])?;
    ensure!(back.code != 0 && back.stderr.contains(&extended.in_words()), "shortening: {}", back.stderr);
    ensure!(life.told()? == [format!("extended-{extended}")], "one piece of good news: {:?}", life.told()?);

    life.move_to(life.sold.plus_years(6))?;
    life.publish_and_update("1.6.0")?;

    // Each warning on its day and none twice; the device was off for one of them.
    for (before, name) in [(365, "365-days"), (180, "180-days")] {
        life.move_to(extended.plus_days(-before))?;
        life.wait_until_told(&format!("{name}-{extended}"))?;
    }
    life.board.shut_down()?;
    life.move_to(extended.plus_days(-90))?;
    life.move_to(extended.plus_days(-30))?;
    life.board.power_on()?;
    life.wait_until_told(&format!("30-days-{extended}"))?;
    ensure!(!life.told()?.contains(&format!("90-days-{extended}")), "what was slept through is not told late");
    life.publish_and_update("1.8.0")?;
    life.move_to(extended.plus_days(1))?;
    life.wait_until_told(&format!("ended-{extended}"))?;
    ensure!(life.page()?.contains("Security updates ended on"), "the page says that it is over");

    // Signatures last ten years, and products longer.
    life.move_to(life.sold.plus_years(9).plus_days(200))?;
    life.renew_offline()?;

    // A late fix is welcome and moves no day: support has ended, whatever comes after.
    life.move_to(life.sold.plus_years(11))?;
    life.publish_and_update("1.11.0")?;
    let status = life.board.status()?.context("no status")?;
    ensure!(status.support_ends() == Some(extended.to_string().as_str()), "expected {extended}, saw {status:?}");

    life.move_to(life.sold.plus_years(12))?;
    let days = life.sold.plus_years(12).days_since(extended.plus_days(31));
    life.wait_until_told(&format!("reminder-{}-{extended}", days / 90))?;
    let told = life.told()?;
    let reminders = told.iter().filter(|id| id.starts_with("reminder")).count();
    ensure!(reminders == 1, "one reminder stands for all, saw {told:?}");
    let ends = life.board.ask(&["support", "--json"])?;
    ensure!(ends.to_string().contains(&extended.to_string()), "tenure support: {ends}");
    first_release_is_still_there(&life)
}

/// Each security update stays available for ten years or to the end, whichever is longer (CRA, 13(9)).
fn first_release_is_still_there(life: &Life) -> Result<()> {
    let path = "targets/releases/1.1.0";
    let folder = life.stage.maker.repository().join(path);
    let mut seen = 0;
    for file in std::fs::read_dir(&folder).context("cannot list a folder")? {
        let file = file.context("cannot list a folder")?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let url = format!("{}/repo/{MODEL}/{path}/{name}", life.server.url());
        let mut answer = ureq::get(&url).call().context(format_args!("{name} is gone"))?;
        let bytes = answer.body_mut().with_config().limit(1 << 30).read_to_vec().context("cannot read an answer")?;
        ensure!(bytes == std::fs::read(&file).context("cannot read a file")?, "{name} is another one now");
        seen += 1;
    }
    ensure!(seen >= 3, "expected manifest, index and payload, saw {seen}");
    Ok(())
}
