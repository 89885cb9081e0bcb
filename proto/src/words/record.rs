//! What the public pages say of how a promise was kept.

use super::topic;

topic! {
    /// The public pages: how a promise came about, and how it was kept.
    Record {
        /// The heading over the particulars.
        about,
        /// The model.
        model,
        /// The number on the box.
        gtin,
        /// The model's number.
        gmn,
        /// The maker.
        manufacturer,
        /// Who acts for the maker.
        representative,
        /// Since when it is made.
        on_market,
        /// Why the period is so long.
        basis,
        /// When it was signed.
        declared,
        /// The short form.
        fingerprint,
        /// What the short form is for.
        fingerprint_why,
        /// The heading over the declarations.
        history,
        /// A declaration.
        history_line,
        /// Why it was made.
        history_why,
        /// How long it took to be public.
        history_lag,
        /// A length.
        minutes,
        /// A length.
        hours,
        /// One day.
        day_one,
        /// Some days.
        days,
        /// The heading over what was kept.
        delivered,
        /// When the count begins.
        delivered_since,
        /// How many there were.
        delivered_count,
        /// The last one.
        delivered_last,
        /// There is none.
        delivered_none,
        /// The longest wait.
        delivered_gap,
        /// The longest wait, from when to when.
        delivered_gap_from,
        /// From a known hole to its update.
        delivered_fix,
        /// For some it is known.
        delivered_fix_known,
        /// For one it is known.
        delivered_fix_one,
        /// For how many besides it is not.
        delivered_fix_silent,
        /// For none it is known.
        delivered_fix_unknown,
        /// What is known and has no update.
        delivered_open,
        /// How many, and since when.
        delivered_open_since,
        /// After the end.
        delivered_beyond,
        /// How to check it.
        delivered_how,
        /// The file with the figures.
        delivered_data,
        /// The page with all updates.
        archive,
        /// What threatens who goes on without.
        archive_risk,
        /// How long they stay.
        archive_kept,
        /// There is none yet.
        archive_empty,
        /// The way to the next page.
        archive_older,
        /// A page that has no room for all.
        part,
        /// Where all of it is.
        whole,
        /// An update's name.
        version,
        /// Before what was fixed.
        fixed,
        /// Before the risk that is gone.
        removed,
        /// The mark of an update after the end.
        beyond,
        /// What the mark means.
        beyond_why,
        /// The number that a file is checked by.
        checksum,
    }
}

const ENGLISH: Record = Record {
    about: "About this promise",
    model: "Model",
    gtin: "Article number (GTIN)",
    gmn: "Model number (GMN)",
    manufacturer: "Manufacturer",
    representative: "Representative",
    on_market: "First sold on",
    basis: "Why this long",
    declared: "Declared on",
    fingerprint: "Fingerprint",
    fingerprint_why: "The same on the label and on the product itself. If it differs, somebody shows another promise.",
    history: "How this promise changed",
    history_line: "On {day}: until {ends}",
    history_why: "Why:",
    history_lag: "Public here {length} after it was signed.",
    minutes: "{count} min",
    hours: "{count} h",
    day_one: "1 day",
    days: "{days} days",
    delivered: "Promised and delivered",
    delivered_since: "Counted since",
    delivered_count: "Security updates so far",
    delivered_last: "The last one",
    delivered_none: "None yet",
    delivered_gap: "Longest time without one",
    delivered_gap_from: "{length}, from {from} to {until}",
    delivered_fix: "From a known hole to its update",
    delivered_fix_known: "Half within {median}, the slowest took {longest} ({count} counted)",
    delivered_fix_one: "{longest} (1 counted)",
    delivered_fix_silent: "not stated for {count}",
    delivered_fix_unknown: "Not stated",
    delivered_open: "Known, and not fixed yet",
    delivered_open_since: "{count}, the oldest since {day}",
    delivered_beyond: "After the promised end",
    delivered_how: "Counted from what the maker signed. Anybody can count again:",
    delivered_data: "figures as data (JSON)",
    archive: "All security updates",
    archive_risk: "This product no longer gets security updates. It is a risk to go on using it on a network: newly found security holes stay open, and strangers may use them. The updates below do not change that.",
    archive_kept: "Each security update stays here for ten years, or until the promised end if that is later. The product takes its updates by itself: you need these files only if it cannot.",
    archive_empty: "There is no security update yet.",
    archive_older: "Older ones",
    part: "There was no room here for all of it.",
    whole: "All of it, as data (JSON)",
    version: "Version {version}, {day}",
    fixed: "What was fixed:",
    removed: "The risk that it removes:",
    beyond: "Beyond the promise",
    beyond_why: "It came after the promised end, and does not make the promise longer.",
    checksum: "Checksum (SHA-256):",
};

const GERMAN: Record = Record {
    about: "Über dieses Versprechen",
    model: "Modell",
    gtin: "Artikelnummer (GTIN)",
    gmn: "Modellnummer (GMN)",
    manufacturer: "Hersteller",
    representative: "Bevollmächtigter",
    on_market: "Erstmals auf dem Markt am",
    basis: "Warum so lange",
    declared: "Erklärt am",
    fingerprint: "Fingerabdruck",
    fingerprint_why: "Derselbe auf dem Etikett und auf dem Produkt selbst. Weicht er ab, zeigt jemand ein anderes Versprechen.",
    history: "Wie sich dieses Versprechen änderte",
    history_line: "Am {day}: bis zum {ends}",
    history_why: "Warum:",
    history_lag: "Hier öffentlich {length} nach der Unterschrift.",
    minutes: "{count} Min.",
    hours: "{count} Std.",
    day_one: "1 Tag",
    days: "{days} Tage",
    delivered: "Versprochen und gehalten",
    delivered_since: "Gezählt seit",
    delivered_count: "Sicherheits-Updates bisher",
    delivered_last: "Das letzte",
    delivered_none: "Noch keines",
    delivered_gap: "Längste Zeit ohne eines",
    delivered_gap_from: "{length}, vom {from} bis zum {until}",
    delivered_fix: "Von der bekannten Lücke bis zum Update",
    delivered_fix_known: "Die Hälfte in {median} oder weniger, am längsten {longest} ({count} gezählt)",
    delivered_fix_one: "{longest} (1 gezählt)",
    delivered_fix_silent: "für {count} nicht angegeben",
    delivered_fix_unknown: "Nicht angegeben",
    delivered_open: "Bekannt und noch nicht behoben",
    delivered_open_since: "{count}, die älteste seit {day}",
    delivered_beyond: "Nach dem versprochenen Ende",
    delivered_how: "Gezählt aus dem, was der Hersteller unterschrieben hat. Jeder kann nachzählen:",
    delivered_data: "Zahlen als Daten (JSON)",
    archive: "Alle Sicherheits-Updates",
    archive_risk: "Dieses Produkt bekommt keine Sicherheits-Updates mehr. Es weiter in einem Netz zu benutzen ist ein Risiko: neu entdeckte Sicherheitslücken bleiben offen, und Fremde können sie ausnutzen. Die Updates unten ändern das nicht.",
    archive_kept: "Jedes Sicherheits-Update bleibt zehn Jahre hier, oder bis zum versprochenen Ende, wenn das später ist. Das Produkt holt seine Updates selbst: diese Dateien brauchen Sie nur, wenn es das nicht kann.",
    archive_empty: "Es gibt noch kein Sicherheits-Update.",
    archive_older: "Ältere",
    part: "Hier war nicht Platz für alles.",
    whole: "Alles, als Daten (JSON)",
    version: "Version {version}, {day}",
    fixed: "Was behoben wurde:",
    removed: "Das Risiko, das es beseitigt:",
    beyond: "Über das Versprechen hinaus",
    beyond_why: "Es kam nach dem versprochenen Ende und macht das Versprechen nicht länger.",
    checksum: "Prüfsumme (SHA-256):",
};

const FRENCH: Record = Record {
    about: "À propos de cette promesse",
    model: "Modèle",
    gtin: "Numéro d’article (GTIN)",
    gmn: "Numéro de modèle (GMN)",
    manufacturer: "Fabricant",
    representative: "Mandataire",
    on_market: "Mis sur le marché le",
    basis: "Pourquoi cette durée",
    declared: "Déclaré le",
    fingerprint: "Empreinte",
    fingerprint_why: "La même sur l’étiquette et sur le produit lui-même. Si elle diffère, quelqu’un montre une autre promesse.",
    history: "Comment cette promesse a changé",
    history_line: "Le {day} : jusqu’au {ends}",
    history_why: "Pourquoi :",
    history_lag: "Public ici {length} après la signature.",
    minutes: "{count} min",
    hours: "{count} h",
    day_one: "1 jour",
    days: "{days} jours",
    delivered: "Promis et tenu",
    delivered_since: "Compté depuis",
    delivered_count: "Mises à jour de sécurité à ce jour",
    delivered_last: "La dernière",
    delivered_none: "Aucune pour l’instant",
    delivered_gap: "Plus longue période sans mise à jour",
    delivered_gap_from: "{length}, du {from} au {until}",
    delivered_fix: "De la faille connue à sa mise à jour",
    delivered_fix_known: "La moitié en {median} ou moins, {longest} au plus ({count} comptées)",
    delivered_fix_one: "{longest} (1 comptée)",
    delivered_fix_silent: "non indiqué pour {count}",
    delivered_fix_unknown: "Non indiqué",
    delivered_open: "Connues et pas encore corrigées",
    delivered_open_since: "{count}, la plus ancienne depuis le {day}",
    delivered_beyond: "Après la fin promise",
    delivered_how: "Compté à partir de ce que le fabricant a signé. Chacun peut recompter :",
    delivered_data: "chiffres en données (JSON)",
    archive: "Toutes les mises à jour de sécurité",
    archive_risk: "Ce produit ne reçoit plus de mises à jour de sécurité. Continuer à l’utiliser sur un réseau est un risque : les nouvelles failles de sécurité restent ouvertes, et des inconnus peuvent s’en servir. Les mises à jour ci-dessous n’y changent rien.",
    archive_kept: "Chaque mise à jour de sécurité reste ici dix ans, ou jusqu’à la fin promise si elle est plus tardive. Le produit prend ses mises à jour tout seul : ces fichiers ne servent que s’il ne le peut pas.",
    archive_empty: "Il n’y a pas encore de mise à jour de sécurité.",
    archive_older: "Plus anciennes",
    part: "Il n’y avait pas la place de tout montrer ici.",
    whole: "Tout, en données (JSON)",
    version: "Version {version}, {day}",
    fixed: "Ce qui a été corrigé :",
    removed: "Le risque qu’elle supprime :",
    beyond: "Au-delà de la promesse",
    beyond_why: "Elle est venue après la fin promise et ne prolonge pas la promesse.",
    checksum: "Somme de contrôle (SHA-256) :",
};

const SPANISH: Record = Record {
    about: "Sobre esta promesa",
    model: "Modelo",
    gtin: "Número de artículo (GTIN)",
    gmn: "Número de modelo (GMN)",
    manufacturer: "Fabricante",
    representative: "Representante",
    on_market: "En el mercado desde el",
    basis: "Por qué este plazo",
    declared: "Declarado el",
    fingerprint: "Huella",
    fingerprint_why: "La misma en la etiqueta y en el propio producto. Si es distinta, alguien muestra otra promesa.",
    history: "Cómo cambió esta promesa",
    history_line: "El {day}: hasta el {ends}",
    history_why: "Por qué:",
    history_lag: "Público aquí {length} después de la firma.",
    minutes: "{count} min",
    hours: "{count} h",
    day_one: "1 día",
    days: "{days} días",
    delivered: "Prometido y cumplido",
    delivered_since: "Contado desde",
    delivered_count: "Actualizaciones de seguridad hasta hoy",
    delivered_last: "La última",
    delivered_none: "Ninguna todavía",
    delivered_gap: "Tiempo más largo sin ninguna",
    delivered_gap_from: "{length}, del {from} al {until}",
    delivered_fix: "Del fallo conocido a su actualización",
    delivered_fix_known: "La mitad en {median} o menos, {longest} como máximo ({count} contados)",
    delivered_fix_one: "{longest} (1 contado)",
    delivered_fix_silent: "no se indica para {count}",
    delivered_fix_unknown: "No se indica",
    delivered_open: "Conocidos y aún no corregidos",
    delivered_open_since: "{count}, el más antiguo desde el {day}",
    delivered_beyond: "Después del final prometido",
    delivered_how: "Contado a partir de lo que firmó el fabricante. Cualquiera puede contar de nuevo:",
    delivered_data: "cifras como datos (JSON)",
    archive: "Todas las actualizaciones de seguridad",
    archive_risk: "Este producto ya no recibe actualizaciones de seguridad. Seguir usándolo en una red es un riesgo: los nuevos fallos de seguridad quedan abiertos y otras personas pueden usarlos. Las actualizaciones de abajo no cambian eso.",
    archive_kept: "Cada actualización de seguridad queda aquí diez años, o hasta el final prometido si es posterior. El producto toma sus actualizaciones solo: necesita estos archivos únicamente si no puede.",
    archive_empty: "Todavía no hay ninguna actualización de seguridad.",
    archive_older: "Más antiguas",
    part: "Aquí no cabía todo.",
    whole: "Todo, como datos (JSON)",
    version: "Versión {version}, {day}",
    fixed: "Qué se corrigió:",
    removed: "El riesgo que elimina:",
    beyond: "Más allá de la promesa",
    beyond_why: "Llegó después del final prometido y no alarga la promesa.",
    checksum: "Suma de control (SHA-256):",
};

const WELSH: Record = Record {
    about: "Am yr addewid hwn",
    model: "Model",
    gtin: "Rhif eitem (GTIN)",
    gmn: "Rhif model (GMN)",
    manufacturer: "Gwneuthurwr",
    representative: "Cynrychiolydd",
    on_market: "Ar y farchnad ers",
    basis: "Pam mor hir",
    declared: "Datganwyd ar",
    fingerprint: "Ôl bys",
    fingerprint_why: "Yr un peth ar y label ac ar y cynnyrch ei hun. Os yw’n wahanol, mae rhywun yn dangos addewid arall.",
    history: "Sut newidiodd yr addewid hwn",
    history_line: "Ar {day}: hyd at {ends}",
    history_why: "Pam:",
    history_lag: "Yn gyhoeddus yma {length} ar ôl ei lofnodi.",
    minutes: "{count} munud",
    hours: "{count} awr",
    day_one: "1 diwrnod",
    days: "{days} diwrnod",
    delivered: "Addawyd a chyflawnwyd",
    delivered_since: "Cyfrifwyd ers",
    delivered_count: "Diweddariadau diogelwch hyd yn hyn",
    delivered_last: "Yr un diwethaf",
    delivered_none: "Dim eto",
    delivered_gap: "Yr amser hiraf heb un",
    delivered_gap_from: "{length}, o {from} hyd at {until}",
    delivered_fix: "O dwll hysbys i’w ddiweddariad",
    delivered_fix_known: "Eu hanner o fewn {median}, {longest} ar y mwyaf ({count} wedi’u cyfrif)",
    delivered_fix_one: "{longest} (1 wedi’i gyfrif)",
    delivered_fix_silent: "heb ei nodi ar gyfer {count}",
    delivered_fix_unknown: "Heb ei nodi",
    delivered_open: "Yn hysbys, a heb eu trwsio eto",
    delivered_open_since: "{count}, yr hynaf ers {day}",
    delivered_beyond: "Ar ôl y diwedd a addawyd",
    delivered_how: "Cyfrifwyd o’r hyn a lofnododd y gwneuthurwr. Gall unrhyw un gyfrif eto:",
    delivered_data: "ffigurau fel data (JSON)",
    archive: "Pob diweddariad diogelwch",
    archive_risk: "Nid yw’r cynnyrch hwn yn cael diweddariadau diogelwch mwyach. Mae’n risg parhau i’w ddefnyddio ar rwydwaith: bydd tyllau diogelwch newydd yn aros ar agor, a gall dieithriaid eu defnyddio. Nid yw’r diweddariadau isod yn newid hynny.",
    archive_kept: "Bydd pob diweddariad diogelwch yn aros yma am ddeng mlynedd, neu tan y diwedd a addawyd os yw hynny’n hwyrach. Mae’r cynnyrch yn cymryd ei ddiweddariadau ei hun: dim ond os na all wneud hynny y bydd angen y ffeiliau hyn arnoch.",
    archive_empty: "Nid oes diweddariad diogelwch eto.",
    archive_older: "Rhai hŷn",
    part: "Nid oedd lle yma i’r cyfan.",
    whole: "Y cyfan, fel data (JSON)",
    version: "Fersiwn {version}, {day}",
    fixed: "Beth gafodd ei drwsio:",
    removed: "Y risg y mae’n ei dileu:",
    beyond: "Y tu hwnt i’r addewid",
    beyond_why: "Daeth ar ôl y diwedd a addawyd, ac nid yw’n gwneud yr addewid yn hirach.",
    checksum: "Swm gwirio (SHA-256):",
};
