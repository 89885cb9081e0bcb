//! What is said of a hole in the version that runs, around the maker's own words.

use super::topic;

topic! {
    /// The notice of a hole in the version that runs.
    Risks {
        /// There is one; the maker's words follow.
        hole,
        /// Attackers use it.
        used,
        /// A version closes it.
        closed_by,
        /// Nothing does yet.
        open_yet,
        /// Nothing will.
        stays_open,
    }
}

const ENGLISH: Risks = Risks {
    hole: "{product} has a security hole. {summary}",
    used: "Attackers already use it.",
    closed_by: "Version {version} closes the hole.",
    open_yet: "There is no update yet that closes the hole.",
    stays_open: "No update will close the hole.",
};

const GERMAN: Risks = Risks {
    hole: "{product} hat eine Sicherheitslücke. {summary}",
    used: "Angreifer nutzen sie bereits aus.",
    closed_by: "Version {version} schließt die Lücke.",
    open_yet: "Noch gibt es kein Update, das die Lücke schließt.",
    stays_open: "Kein Update wird die Lücke schließen.",
};

const FRENCH: Risks = Risks {
    hole: "{product} a une faille de sécurité. {summary}",
    used: "Des attaquants s’en servent déjà.",
    closed_by: "La version {version} corrige la faille.",
    open_yet: "Aucune mise à jour ne corrige encore la faille.",
    stays_open: "Aucune mise à jour ne corrigera la faille.",
};

const SPANISH: Risks = Risks {
    hole: "{product} tiene un fallo de seguridad. {summary}",
    used: "Ya hay atacantes que lo aprovechan.",
    closed_by: "La versión {version} corrige el fallo.",
    open_yet: "Todavía no hay ninguna actualización que corrija el fallo.",
    stays_open: "Ninguna actualización corregirá el fallo.",
};

const WELSH: Risks = Risks {
    hole: "Mae twll diogelwch yn {product}. {summary}",
    used: "Mae ymosodwyr yn ei ddefnyddio’n barod.",
    closed_by: "Mae fersiwn {version} yn cau’r twll.",
    open_yet: "Nid oes diweddariad eto sy’n cau’r twll.",
    stays_open: "Ni fydd unrhyw ddiweddariad yn cau’r twll.",
};
