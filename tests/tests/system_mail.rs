//! Letters to owners, through a real SMTP server.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tenure_proto::time::Day;
use tenure_tests::clock::wait_for;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::process::Process;
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage};

const LIMIT: Duration = Duration::from_secs(30);
/// The address that people would type; tests put the server's own in its place.
const PUBLIC: &str = "http://updates.example";
const OWNER: &str = "owner.of.a.gateway@home.example";

/// Prints each letter of a Maildir, the oldest first.
const READ: &str = "
import email, email.policy, json, mailbox, sys
box = mailbox.Maildir(sys.argv[1], create=False, factory=lambda f: email.message_from_binary_file(f, policy=email.policy.default))
letters = [dict(list(m.items()), text=m.get_content()) for m in sorted(box.values(), key=lambda m: m['X-Received-Nr'] or m['Date'])]
print(json.dumps(letters))
";

struct Post {
    stage: Stage,
    server: Server,
    letters: PathBuf,
    _carrier: Process,
}

impl Post {
    fn open(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let letters = stage.world.path("letters");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
        let port = port.context("no free port")?.port();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Mailbox"]).arg(&letters);
        command.args(["-l", &format!("127.0.0.1:{port}")]).stdout(Stdio::null()).stderr(Stdio::null());
        let carrier = Process::start("aiosmtpd", &mut command)?;
        let more = format!(
            "public_url = \"{PUBLIC}\"\n[mail]\nsmtp = \"smtp://127.0.0.1:{port}\"\nfrom = \"ACME <news@acme.example>\"\n"
        );
        let server = stage.start_server_with(&more)?;
        Ok(Self { stage, server, letters, _carrier: carrier })
    }

    fn letters(&self) -> Result<Vec<Value>> {
        if !self.letters.join("new").exists() {
            return Ok(Vec::new());
        }
        let output = Command::new("/usr/bin/python3").args(["-c", READ]).arg(&self.letters).output();
        let output = output.context("python does not run")?;
        let read: Value = serde_json::from_slice(&output.stdout).context("cannot read the letters")?;
        Ok(read.as_array().cloned().unwrap_or_default())
    }

    /// Waits for a letter whose subject has these words.
    fn letter(&self, words: &str) -> Result<Value> {
        let has = |letter: &Value| letter["Subject"].as_str().is_some_and(|subject| subject.contains(words));
        wait_for(&format!("a letter about {words:?}"), LIMIT, || Ok(self.letters()?.into_iter().find(has)))
    }

    /// A link in a letter, at the server.
    fn link(&self, letter: &Value) -> Result<String> {
        let text = letter["text"].as_str().context("no text")?;
        let start = text.find(PUBLIC).context(format_args!("no link in {text}"))?;
        let link = text[start..].split_whitespace().next().unwrap_or_default();
        Ok(link.replace(PUBLIC, &self.server.url()))
    }

    fn ask(&self, address: &str, language: &str) -> Result<String> {
        let url = format!("{}/p/{MODEL}/mail", self.server.url());
        let form = [("address", address), ("language", language), ("batch", "")];
        let mut answer = ureq::post(&url).send_form(form).context("the form was refused")?;
        answer.body_mut().read_to_string().context("no page")
    }

    fn page(link: &str) -> Result<String> {
        ureq::get(link).call().and_then(|mut answer| answer.body_mut().read_to_string()).context("no page")
    }

    fn press(link: &str, form: [(&str, &str); 1]) -> Result<String> {
        ureq::post(link).send_form(form).and_then(|mut answer| answer.body_mut().read_to_string()).context("no page")
    }

    fn move_to(&self, day: Day) -> Result<()> {
        self.stage.world.clock_mut().set(day.midnight_utc().plus_s(12 * 3600))
    }
}

/// Whether the text stands in any file of a folder.
fn is_in(folder: &Path, text: &str) -> Result<bool> {
    for entry in std::fs::read_dir(folder).context("cannot list a folder")? {
        let path = entry.context("cannot list a folder")?.path();
        if path.is_dir() {
            if is_in(&path, text)? {
                return Ok(true);
            }
        } else {
            let bytes = std::fs::read(&path).context("cannot read a file")?;
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[test]
fn system_an_owner_who_confirms_is_told_in_time_and_forgotten_after_the_last_letter() -> Result<()> {
    let mut post = Post::open("mail")?;
    let ends = post.stage.ends;
    let form = Post::page(&format!("{}/p/{MODEL}/mail?lang=de", post.server.url()))?;
    ensure!(form.contains("lang=\"de\"") && form.contains("Schreiben Sie mir"), "{form}");
    post.ask(OWNER, "de")?;
    let asked = post.letter("Bitte bestätigen")?;
    ensure!(asked["To"] == OWNER && asked["Auto-Submitted"] == "auto-generated", "{asked}");
    let link = post.link(&asked)?;

    // Mail programs follow links by themselves: that confirms nothing.
    ensure!(Post::page(&link)?.contains("value=\"confirm\""), "the page has the button");
    std::thread::sleep(Duration::from_secs(3));
    ensure!(post.letters()?.len() == 1, "nobody confirmed: {:?}", post.letters()?);
    let (path, proof) = link.rsplit_once('/').context("no proof in the link")?;
    let forged = format!("{path}/{}", proof.replace(['a', '1'], "b"));
    ensure!(Post::press(&forged, [("do", "confirm")])?.contains("no longer in use"), "a forged link does nothing");
    Post::press(&link, [("do", "confirm")])?;
    let told = post.letter("bekommt Sicherheits-Updates bis zum")?;
    let stop = told["List-Unsubscribe"].as_str().unwrap_or_default().to_owned();
    ensure!(told["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" && stop.contains("/mail/"), "{told}");

    // The same schedule as the device's, each letter once.
    post.move_to(ends.plus_days(-90))?;
    post.letter("enden am")?;
    let later = ends.plus_days(100);
    post.stage.maker.extend(later)?;
    post.stage.maker.push()?;
    let news = post.letter("Gute Nachricht")?;
    ensure!(news["Subject"].as_str().is_some_and(|subject| subject.contains(&later.to_string()[..4])), "{news}");
    post.move_to(later.plus_days(1))?;
    post.letter("endeten am")?;
    post.move_to(later.plus_days(31))?;
    let last = wait_for("the last letter", LIMIT, || {
        let is_last = |letter: &Value| letter["text"].as_str().is_some_and(|text| text.contains("letzte Nachricht"));
        Ok(post.letters()?.into_iter().find(is_last))
    })?;
    ensure!(last.get("List-Unsubscribe").is_none(), "there is nothing left to stop: {last}");
    let subjects: Vec<_> = post.letters()?.iter().map(|letter| letter["Subject"].to_string()).collect();
    ensure!(subjects.len() == 6, "expected six letters, saw {subjects:?}");
    wait_for("the page knows nobody", LIMIT, || Ok(Post::page(&link)?.contains("no longer in use").then_some(())))?;
    post.server.stop()?;
    ensure!(!is_in(post.server.folder(), OWNER)?, "the address is gone from disk and log");
    Ok(())
}

#[test]
fn system_row_31_an_address_is_erased_in_one_step_and_when_nobody_confirms() -> Result<()> {
    let mut post = Post::open("unasked")?;
    for wrong in ["nobody", "a b@home.example", "a@home.example\r\nBcc: b@home.example", ""] {
        let url = format!("{}/p/{MODEL}/mail", post.server.url());
        let refused = ureq::post(&url).send_form([("address", wrong), ("language", "en")]);
        ensure!(refused.is_err(), "expected {wrong:?} to be refused");
    }
    // Whether an address is known is nobody's business: the answers are the same.
    let first = post.ask(OWNER, "en")?;
    let letter = post.letter("Please confirm")?;
    Post::press(&post.link(&letter)?, [("do", "confirm")])?;
    let told = post.letter("gets security updates until")?;
    ensure!(post.ask(OWNER, "en")? == first, "a known address gets the same answer");
    let link = post.link(&told)?;
    Post::press(&link, [("List-Unsubscribe", "One-Click")])?;
    ensure!(Post::page(&link)?.contains("not kept here"), "it is erased");

    post.ask("other@home.example", "en")?;
    wait_for("the other is asked", LIMIT, || Ok((post.letters()?.len() == 3).then_some(())))?;
    let today = post.stage.world.clock().today();
    post.move_to(today.plus_days(8))?;
    let other = post.letters()?.into_iter().find(|letter| letter["To"] == "other@home.example");
    let link = post.link(&other.context("no letter to the other")?)?;
    wait_for("the other is forgotten", LIMIT, || Ok(Post::page(&link)?.contains("not kept here").then_some(())))?;
    post.server.stop()?;
    for address in [OWNER, "other@home.example"] {
        ensure!(!is_in(post.server.folder(), address)?, "{address} is gone from disk and log");
    }
    Ok(())
}

#[test]
fn without_a_mail_server_no_page_asks_for_an_address() -> Result<()> {
    let stage = Stage::set("no-mail")?;
    let server = stage.start_server()?;
    let missing = ureq::get(&format!("{}/p/{MODEL}/mail", server.url())).call();
    ensure!(matches!(missing, Err(ureq::Error::StatusCode(404))), "expected 404, saw {missing:?}");
    Ok(())
}
