//! Words that sell. An owner is told facts, and nothing is sold in a notice (LAW §4.1): no text of ours
//! has one of these, and a maker is warned of them in their own (`tenurectl`).
//!
//! Whole words count, so that "workshop" and "comprehensive" are what they are; an entry that ends in
//! `*` is the beginning of a word. A word that mostly sells nothing in a notice (French "remise à zéro",
//! German "gibt Passwörter preis") stands here with the word beside it that makes it sell.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::Language;

const ENGLISH: &[&str] = &[
    "price",
    "prices",
    "priced",
    "pricing",
    "discount*",
    "shop",
    "shops",
    "shopping",
    "buy",
    "buying",
    "purchas*",
    "upgrade to",
    "upgrade now",
    "offer",
    "offers",
    "subscri*",
    "voucher*",
    "coupon*",
    "order now",
    "order a",
    "order your*",
    "for sale",
    "on sale",
    "euro",
    "euros",
    "dollar",
    "dollars",
];
const GERMAN: &[&str] = &[
    "preise",
    "preisen",
    "der preis",
    "zum preis",
    "preis von",
    "preisnachl*",
    "preiswert*",
    "sonderpreis*",
    "rabatt*",
    "kauf",
    "kaufe",
    "kaufen",
    "kaufpreis*",
    "angebot*",
    "sonderangebot*",
    "gutschein*",
    "abo",
    "abonn*",
    "bestellen sie",
    "onlineshop*",
    "webshop*",
];
const FRENCH: &[&str] = &[
    "prix",
    "rabais",
    "remise de",
    "une remise sur",
    "achat",
    "achats",
    "achetez",
    "acheter",
    "boutique*",
    "soldes",
    "promotion",
    "promotions",
    "notre offre",
    "nos offres",
    "offre spéciale",
    "abonne*",
    "commandez",
];
const SPANISH: &[&str] = &[
    "precio*",
    "descuento*",
    "rebaja*",
    "compra",
    "compras",
    "compre",
    "comprar",
    "cómprelo",
    "cómprela",
    "tienda*",
    "oferta*",
    "suscri*",
];
const WELSH: &[&str] =
    &["pris", "prisiau", "prynu", "prynwch", "gostyngiad*", "siop", "siopau", "siopa*", "tanysgrif*"];

/// The entries of a language; those of English count in every language, since others borrow them.
const fn entries(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => ENGLISH,
        Language::German => GERMAN,
        Language::French => FRENCH,
        Language::Spanish => SPANISH,
        Language::Welsh => WELSH,
    }
}

/// The first word or sign in `text` that sells, as it stands there in lower case.
///
/// A text in none of our languages is looked at for English words and signs alone.
pub fn found(language: Option<Language>, text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words: Vec<_> = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let own = language.filter(|language| *language != Language::English).map_or(&[][..], entries);
    let sells = own.iter().chain(entries(Language::English)).find_map(|entry| stands_in(&words, entry));
    sells.or_else(|| money(&text))
}

/// Where the words of `entry` follow each other in `words`.
fn stands_in(words: &[&str], entry: &str) -> Option<String> {
    let wanted: Vec<_> = entry.split(' ').collect();
    let is_it = |(word, wanted): (&&str, &&str)| match wanted.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == wanted,
    };
    let found = words.windows(wanted.len()).find(|some| some.iter().zip(&wanted).all(is_it))?;
    Some(found.join(" "))
}

/// A sign of money. `$` counts beside a digit: it is a letter of technical names elsewhere.
fn money(text: &str) -> Option<String> {
    let sign = text.chars().find(|letter| matches!(letter, '€' | '£'));
    let is_sum = |(before, after): (&str, &str)| {
        before.trim_end().ends_with(|letter: char| letter.is_ascii_digit())
            || after.trim_start_matches(['$', ' ']).starts_with(|letter: char| letter.is_ascii_digit())
    };
    let dollars = || text.match_indices('$').any(|(at, _)| is_sum(text.split_at(at)));
    sign.map(|sign| sign.to_string()).or_else(|| dollars().then(|| "$".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_language(code: &str, text: &str) -> Option<String> {
        found(code.parse().ok(), text)
    }

    #[test]
    fn words_that_sell_are_found_in_each_language() {
        for (code, text, word) in [
            ("en", "Replace it from our Shop.", "shop"),
            ("en", "See https://shop.acme.example/gateway", "shop"),
            ("en", "Upgrade to the ACME Gateway 2!", "upgrade to"),
            ("en", "Now at a lower price", "price"),
            ("en", "Prices start low.", "prices"),
            ("en", "A new one is 20 €.", "€"),
            ("en", "A new one is $ 20.", "$"),
            ("de", "Im Web-Shop gibt es Rabatte.", "rabatte"),
            ("de", "Der Preis ist klein.", "der preis"),
            ("de", "Get it at a discount", "discount"),
            ("fr", "Depuis l'achat", "achat"),
            ("fr", "À bon PRIX", "prix"),
            ("es", "Cómprelo en la tienda.", "cómprelo"),
            ("cy", "Ewch i'r siop.", "siop"),
            ("it", "Get it at a discount", "discount"),
            ("it", "Costa 20 €.", "€"),
        ] {
            assert_eq!(in_language(code, text).as_deref(), Some(word), "{text}");
        }
    }

    #[test]
    fn honest_words_that_only_look_alike_are_left_alone() {
        for (code, text) in [
            ("en", "The workshop mode gave a comprehensive list to strangers in order to help."),
            ("en", "Buyers of the gateway could lose data; Photoshop files too. A priceless $HOME was left $open."),
            ("de", "Der Dienst gibt Passwörter preis. Verkaufen Sie nichts davon."),
            ("de", "Jemand könnte Daten preisgeben."),
            ("fr", "La remise à zéro efface tout. Le mot de passe est pris. Le serveur offre un accès."),
            ("es", "Debe comprobar y comprender lo que sale. La precisión es buena."),
            ("cy", "Mae'r ddyfais yn cynnig mynediad. Darllenwch y cyfarwyddiadau."),
            ("it", "Le tienda e il pris non sono parole nostre."),
        ] {
            assert_eq!(in_language(code, text), None, "{text}");
        }
    }

    #[test]
    fn every_entry_finds_itself() {
        for language in Language::ALL {
            for entry in entries(language) {
                assert!(*entry == entry.to_lowercase() && !entry.is_empty(), "{entry}");
                let plain = entry.trim_end_matches('*');
                assert!(found(Some(language), plain).is_some(), "{entry}");
            }
        }
    }
}
