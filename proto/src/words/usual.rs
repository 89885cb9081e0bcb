//! What a declaration says where its maker has given no words: signed in English, known in every language.

use super::topic;

topic! {
    /// The usual words of a promise.
    Usual {
        /// Why the period is as long as it is.
        basis,
        /// What is lost after the end.
        after_end,
        /// Which risks arise then.
        risks,
        /// What an owner can do then.
        advice,
    }
}

const ENGLISH: Usual = Usual {
    basis: "People can be expected to use such a product for this long.",
    after_end: "Security holes that are found later stay open.",
    risks: "Attackers may use them to read your data, to control the product, or to attack others with it.",
    advice: "Take the product off the internet. Or use one that still gets security updates.",
};

const GERMAN: Usual = Usual {
    basis: "So lange wird ein solches Produkt wohl benutzt.",
    after_end: "Lücken, die später gefunden werden, bleiben offen.",
    risks: "Fremde können dann Ihre Daten lesen, das Produkt steuern oder andere damit angreifen.",
    advice: "Nehmen Sie das Produkt vom Internet. Oder nutzen Sie eines, das noch Updates bekommt.",
};

const FRENCH: Usual = Usual {
    basis: "On peut s’attendre à utiliser un tel produit aussi longtemps.",
    after_end: "Les failles trouvées plus tard resteront ouvertes.",
    risks: "Un pirate peut lire vos données, commander le produit ou s’en servir contre d’autres gens.",
    advice: "Retirez le produit d’Internet. Ou prenez-en un qui reçoit encore des mises à jour.",
};

const SPANISH: Usual = Usual {
    basis: "La gente suele usar un producto así durante este tiempo.",
    after_end: "Los fallos que se hallen después quedan abiertos.",
    risks: "Alguien puede leer sus datos, controlar el producto o atacar a otros con él.",
    advice: "Quite el producto de Internet. O use uno que aún reciba actualizaciones.",
};

const WELSH: Usual = Usual {
    basis: "Gellir disgwyl i bobl ddefnyddio cynnyrch o’r fath am yr amser hwn.",
    after_end: "Bydd tyllau a geir yn ddiweddarach yn aros ar agor.",
    risks: "Gall rhywun ddarllen eich data, rheoli’r cynnyrch, neu ymosod ar eraill ag ef.",
    advice: "Tynnwch y cynnyrch oddi ar y rhyngrwyd. Neu defnyddiwch un sy’n dal i gael diweddariadau.",
};
