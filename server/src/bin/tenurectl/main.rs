//! `tenurectl`: the manufacturer's and the operator's command line.
//!
//! It signs in a folder, without a network; `push` brings what was signed to a server, which
//! checks all of it again.

mod advisory;
mod api;
mod bundle;
mod ceremony;
mod cli;
mod dates;
mod devices;
mod fixed;
mod folder;
mod input;
mod key_file;
mod offline;
mod parts;
mod passphrase;
mod progress;
mod promise;
mod rauc;
mod records;
mod repo;
mod screen;
mod shelf_fetch;
mod statements;
mod token;
mod token_key;
mod token_uri;
mod translations;
mod wording;
mod words;

mod advisory_list;
mod advisory_publish;
mod assess;
mod board_import_rauc;
mod bundle_export;
mod delivered;
mod device_accept;
mod device_forget;
mod device_list;
mod device_refuse;
mod device_token;
mod doctor;
mod init;
mod key_list;
mod key_protect;
mod keyring;
mod label;
mod login;
mod model_add;
mod model_image;
mod model_renew;
mod proof_export;
mod proof_verify;
mod published;
mod push;
mod receipt_verify;
mod record_add;
mod record_export;
mod record_list;
mod record_verify;
mod release_disclosed;
mod release_list;
mod release_publish;
mod release_show;
mod root_propose;
mod root_publish;
mod root_sign;
mod shelf_check;
mod shelf_verify;
mod silence_list;
mod sold;
mod statement_export;
mod statement_issue;
mod statement_list;
mod statement_show;
mod statement_verify;
mod support_cease;
mod support_correct;
mod support_declare;
mod support_diff;
mod support_extend;
mod support_history;
mod support_show;
mod verify;
mod vulnerability_add;
mod vulnerability_close;
mod vulnerability_facts;
mod vulnerability_list;
mod vulnerability_report;
mod vulnerability_set;
mod vulnerability_show;

use std::process::ExitCode;

use clap::Parser as _;

/// Why a command ended without success; printed once, with its whole chain.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let screen = screen::Screen::new(cli.json);
    match cli.run(screen) {
        Ok(code) => code,
        Err(failure) => {
            screen.fail(failure.as_ref());
            ExitCode::FAILURE
        }
    }
}
