//! What a product does after the end of its support, as was declared: the same sentence to buyers on the
//! public page, to owners on the device, and in letters and notices.

use super::{Language, topic};
use crate::support::Posture;

topic! {
    /// What the product does after the end.
    Afterwards {
        /// It goes on.
        goes_on,
        /// It talks to the local network and no further.
        goes_local,
        /// It shuts itself off from networks.
        goes_off,
    }
}

impl Afterwards {
    /// What a product with this posture does after the end, in a sentence.
    pub fn said(posture: Posture, language: Language) -> &'static str {
        let words = Self::of(language);
        match posture {
            Posture::Keep => words.goes_on,
            Posture::LocalOnly => words.goes_local,
            Posture::Isolate => words.goes_off,
        }
    }
}

const ENGLISH: Afterwards = Afterwards {
    goes_on: "After the end, the product goes on as it is.",
    goes_local: "After the end, the product talks to your own network only.",
    goes_off: "After the end, the product shuts itself off from networks; you keep a way in.",
};

const GERMAN: Afterwards = Afterwards {
    goes_on: "Nach dem Ende läuft das Produkt weiter wie bisher.",
    goes_local: "Nach dem Ende spricht das Produkt nur noch mit Ihrem eigenen Netz.",
    goes_off: "Nach dem Ende trennt sich das Produkt von Netzen; Sie kommen weiter hinein.",
};

const FRENCH: Afterwards = Afterwards {
    goes_on: "Après la fin, le produit continue comme avant.",
    goes_local: "Après la fin, le produit ne communique qu’avec votre propre réseau.",
    goes_off: "Après la fin, le produit se coupe des réseaux ; vous gardez un accès.",
};

const SPANISH: Afterwards = Afterwards {
    goes_on: "Después del final, el producto sigue como está.",
    goes_local: "Después del final, el producto habla solo con su propia red.",
    goes_off: "Después del final, el producto se aísla de las redes; usted conserva una entrada.",
};

const WELSH: Afterwards = Afterwards {
    goes_on: "Ar ôl y diwedd mae’r cynnyrch yn parhau fel y mae.",
    goes_local: "Ar ôl y diwedd, dim ond â’ch rhwydwaith eich hun y mae’r cynnyrch yn siarad.",
    goes_off: "Ar ôl y diwedd mae’r cynnyrch yn cau ei hun oddi wrth rwydweithiau; cewch chi fynd i mewn o hyd.",
};
