//! What the public pages give to take along.

use super::topic;

topic! {
    /// What an owner takes along from the public pages: calendar, label, badge, and where to report.
    Takeaway {
        /// The heading over the ways to keep the day.
        take,
        /// The day for a calendar.
        calendar,
        /// News for a reader.
        feed,
        /// The label.
        label,
        /// Letters by e-mail.
        letters,
        /// The statement that goes with the product.
        statement,
        /// A sheet of paper, and how many there are.
        page_of,
        /// The heading over labels that others gave.
        labels,
        /// That they are no promise of the maker's.
        labels_lead,
        /// A label's last day.
        label_valid,
        /// A label's last day, which is past.
        label_over,
        /// Why the page can be believed.
        footer,
        /// What the badge is about.
        badge,
        /// The badge's answer.
        badge_until,
        /// The badge's answer after the end.
        badge_ended,
        /// The label's line before the day.
        label_until,
        /// Why to scan.
        label_scan,
        /// The link of the block.
        embed_more,
        /// The page for reports.
        policy_title,
        /// What it says first.
        policy_lead,
        /// What happens then.
        policy_then,
    }
}

const ENGLISH: Takeaway = Takeaway {
    take: "Keep the day in sight",
    calendar: "In your calendar",
    feed: "News feed (Atom)",
    label: "Label to print",
    letters: "Be told by e-mail",
    statement: "Statement of compliance",
    page_of: "page {page} of {of}",
    labels: "Labels from others",
    labels_lead: "Each label has a last day of its own. It does not change the promise above.",
    label_valid: "Valid until {day}",
    label_over: "No longer valid: it ended on {day}",
    footer: "The maker has signed this promise. Each product checks it by itself and keeps the latest day it was ever promised.",
    badge: "security updates",
    badge_until: "until {day}",
    badge_ended: "ended on {day}",
    label_until: "Security updates at least until",
    label_scan: "Scan for today’s day and advice.",
    embed_more: "What this means, and how it is kept",
    policy_title: "Report a security problem",
    policy_lead: "Anybody may report a problem, without an account, without a fee, and without giving a name. Write to the contact of the product:",
    policy_then: "We answer within the time shown, tell you what we do, and write again as often as shown until the problem is solved. The fix comes to every product as an update.",
};

const GERMAN: Takeaway = Takeaway {
    take: "Den Tag im Blick behalten",
    calendar: "Im Kalender",
    feed: "Nachrichten-Feed (Atom)",
    label: "Etikett zum Drucken",
    letters: "Per E-Mail erinnert werden",
    statement: "Konformitätserklärung",
    page_of: "Seite {page} von {of}",
    labels: "Kennzeichen von anderen",
    labels_lead: "Jedes Kennzeichen hat einen eigenen letzten Tag. Es ändert nichts am Versprechen oben.",
    label_valid: "Gültig bis {day}",
    label_over: "Nicht mehr gültig: es endete am {day}",
    footer: "Der Hersteller hat dieses Versprechen unterschrieben. Jedes Produkt prüft es selbst und behält den spätesten Tag, der ihm je versprochen wurde.",
    badge: "Sicherheits-Updates",
    badge_until: "bis {day}",
    badge_ended: "endeten am {day}",
    label_until: "Sicherheits-Updates mindestens bis zum",
    label_scan: "Scannen: Tag und Rat von heute.",
    embed_more: "Was das bedeutet, und wie es gehalten wird",
    policy_title: "Ein Sicherheitsproblem melden",
    policy_lead: "Jeder kann ein Problem melden: ohne Konto, ohne Kosten, ohne Namen. Schreiben Sie an den Kontakt des Produkts:",
    policy_then: "Wir antworten in der genannten Zeit, sagen, was wir tun, und schreiben so oft wie genannt wieder, bis das Problem gelöst ist. Die Lösung kommt als Update auf jedes Produkt.",
};

const FRENCH: Takeaway = Takeaway {
    take: "Garder ce jour en vue",
    calendar: "Dans votre agenda",
    feed: "Fil d’actualité (Atom)",
    label: "Étiquette à imprimer",
    letters: "Être prévenu par courriel",
    statement: "Déclaration de conformité",
    page_of: "page {page} sur {of}",
    labels: "Labels d’autres organismes",
    labels_lead: "Chaque label a son propre dernier jour. Il ne change rien à la promesse ci-dessus.",
    label_valid: "Valable jusqu’au {day}",
    label_over: "Plus valable : il a pris fin le {day}",
    footer: "Le fabricant a signé cette promesse. Chaque produit la vérifie lui-même et garde le jour le plus tardif qui lui a été promis.",
    badge: "mises à jour de sécurité",
    badge_until: "jusqu’au {day}",
    badge_ended: "terminées le {day}",
    label_until: "Mises à jour de sécurité au moins jusqu’au",
    label_scan: "Scannez : jour et conseils actuels.",
    embed_more: "Ce que cela signifie, et comment c’est tenu",
    policy_title: "Signaler un problème de sécurité",
    policy_lead: "Chacun peut signaler un problème : sans compte, sans frais, sans donner de nom. Écrivez au contact du produit :",
    policy_then: "Nous répondons dans le délai indiqué, disons ce que nous faisons et écrivons de nouveau aussi souvent qu’indiqué jusqu’à la solution. La correction arrive sur chaque produit par une mise à jour.",
};

const SPANISH: Takeaway = Takeaway {
    take: "Tener el día a la vista",
    calendar: "En su calendario",
    feed: "Fuente de noticias (Atom)",
    label: "Etiqueta para imprimir",
    letters: "Recibir avisos por correo",
    statement: "Declaración de conformidad",
    page_of: "página {page} de {of}",
    labels: "Etiquetas de otros",
    labels_lead: "Cada etiqueta tiene su propio último día. No cambia la promesa de arriba.",
    label_valid: "Válida hasta el {day}",
    label_over: "Ya no es válida: terminó el {day}",
    footer: "El fabricante firmó esta promesa. Cada producto la verifica por sí mismo y guarda la fecha más tardía que se le prometió.",
    badge: "actualizaciones de seguridad",
    badge_until: "hasta el {day}",
    badge_ended: "terminaron el {day}",
    label_until: "Actualizaciones de seguridad al menos hasta el",
    label_scan: "Escanee: fecha y consejos de hoy.",
    embed_more: "Qué significa y cómo se cumple",
    policy_title: "Avisar de un problema de seguridad",
    policy_lead: "Cualquiera puede avisar de un problema, sin cuenta, sin coste y sin dar su nombre. Escriba al contacto del producto:",
    policy_then: "Respondemos en el plazo indicado, decimos qué hacemos y volvemos a escribir con la frecuencia indicada hasta resolver el problema. La corrección llega a cada producto como actualización.",
};

const WELSH: Takeaway = Takeaway {
    take: "Cadw golwg ar y dyddiad",
    calendar: "Yn eich calendr",
    feed: "Ffrwd newyddion (Atom)",
    label: "Label i’w argraffu",
    letters: "Cael gwybod drwy e-bost",
    statement: "Datganiad cydymffurfio",
    page_of: "tudalen {page} o {of}",
    labels: "Labeli gan eraill",
    labels_lead: "Mae gan bob label ei ddiwrnod olaf ei hun. Nid yw’n newid yr addewid uchod.",
    label_valid: "Yn ddilys tan {day}",
    label_over: "Ddim yn ddilys mwyach: daeth i ben ar {day}",
    footer: "Mae’r gwneuthurwr wedi llofnodi’r addewid hwn. Mae pob cynnyrch yn ei wirio ei hun ac yn cadw’r dyddiad hwyraf a addawyd iddo erioed.",
    badge: "diweddariadau diogelwch",
    badge_until: "hyd at {day}",
    badge_ended: "daeth i ben ar {day}",
    label_until: "Diweddariadau diogelwch o leiaf hyd at",
    label_scan: "Sganiwch am y dyddiad a’r cyngor heddiw.",
    embed_more: "Beth mae hyn yn ei olygu, a sut y caiff ei gadw",
    policy_title: "Rhoi gwybod am broblem diogelwch",
    policy_lead: "Gall unrhyw un roi gwybod am broblem, heb gyfrif, heb ffi a heb roi enw. Ysgrifennwch at gyswllt y cynnyrch:",
    policy_then: "Byddwn yn ateb o fewn yr amser a ddangosir, yn dweud beth rydym yn ei wneud, ac yn ysgrifennu eto mor aml ag a ddangosir nes datrys y broblem. Daw’r trwsiad i bob cynnyrch fel diweddariad.",
};
