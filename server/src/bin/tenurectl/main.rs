//! `tenurectl`: the manufacturer's and the operator's command line.
//!
//! It signs in a folder, without a network; `push` brings what was signed to a server, which
//! checks all of it again.

mod api;
mod bundle;
mod ceremony;
mod cli;
mod dates;
mod devices;
mod folder;
mod key_file;
mod offline;
mod parts;
mod passphrase;
mod progress;
mod promise;
mod rauc;
mod repo;
mod screen;
mod token;
mod token_key;
mod token_uri;
mod wording;
mod words;

mod board_import_rauc;
mod bundle_export;
mod device_accept;
mod device_list;
mod device_refuse;
mod device_token;
mod doctor;
mod init;
mod key_list;
mod key_protect;
mod keyring;
mod login;
mod model_add;
mod model_image;
mod model_renew;
mod push;
mod receipt_verify;
mod release_list;
mod release_publish;
mod release_show;
mod root_propose;
mod root_publish;
mod root_sign;
mod support_cease;
mod support_correct;
mod support_declare;
mod support_diff;
mod support_extend;
mod support_history;
mod support_show;
mod verify;

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
