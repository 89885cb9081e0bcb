//! What is said about the end of support.

use super::topic;

topic! {
    /// The notices about the end of support: on a device, and in a letter about it.
    Notices {
        /// Until when.
        until_fact,
        /// What that means; what is lost and which risks arise come after it.
        until_consequence,
        /// What to do: nothing.
        until_action,
        /// The end comes.
        ends_fact,
        /// What that means; what is lost and which risks arise come after it.
        ends_consequence,
        /// The end is past.
        ended_fact,
        /// What that means; what is lost and which risks arise come after it.
        ended_consequence,
        /// The end was moved to a later day.
        extended_fact,
        /// What that means.
        extended_consequence,
        /// What to do: nothing.
        extended_action,
        /// The maker stops.
        ceases_fact,
        /// What that means.
        ceases_consequence,
        /// Whom to ask.
        contact,
    }
}

const ENGLISH: Notices = Notices {
    until_fact: "{product} gets security updates until {day}.",
    until_consequence: "Until then, newly found security holes will be fixed. After that:",
    until_action: "You need to do nothing: updates are installed by themselves.",
    ends_fact: "Security updates for {product} end on {day}.",
    ends_consequence: "After that, newly found security holes will not be fixed.",
    ended_fact: "Security updates for {product} ended on {day}.",
    ended_consequence: "Newly found security holes are no longer fixed.",
    extended_fact: "Good news: security updates for {product} now continue until {day}. Before, it was {before}.",
    extended_consequence: "Until then, newly found security holes will be fixed.",
    extended_action: "You need to do nothing.",
    ceases_fact: "{maker} stops operating on {on}.",
    ceases_consequence: "After that, newly found security holes in {product} may not be fixed, though it promised that until {day}.",
    contact: "Questions: {contact}",
};

const GERMAN: Notices = Notices {
    until_fact: "{product} bekommt Sicherheits-Updates bis zum {day}.",
    until_consequence: "Bis dahin werden neu entdeckte Sicherheitslücken geschlossen. Danach gilt:",
    until_action: "Sie müssen nichts tun: Updates werden von selbst eingespielt.",
    ends_fact: "Die Sicherheits-Updates für {product} enden am {day}.",
    ends_consequence: "Danach werden neu entdeckte Sicherheitslücken nicht mehr geschlossen.",
    ended_fact: "Die Sicherheits-Updates für {product} endeten am {day}.",
    ended_consequence: "Neu entdeckte Sicherheitslücken werden nicht mehr geschlossen.",
    extended_fact: "Gute Nachricht: {product} bekommt nun Sicherheits-Updates bis zum {day}. Vorher war es der {before}.",
    extended_consequence: "Bis dahin werden neu entdeckte Sicherheitslücken geschlossen.",
    extended_action: "Sie müssen nichts tun.",
    ceases_fact: "{maker} stellt am {on} den Betrieb ein.",
    ceases_consequence: "Danach werden neu entdeckte Sicherheitslücken in {product} vielleicht nicht mehr geschlossen, obwohl das bis zum {day} versprochen ist.",
    contact: "Fragen: {contact}",
};

const FRENCH: Notices = Notices {
    until_fact: "{product} reçoit des mises à jour de sécurité jusqu’au {day}.",
    until_consequence: "D’ici là, les nouvelles failles de sécurité seront corrigées. Après cette date :",
    until_action: "Vous n’avez rien à faire : les mises à jour s’installent toutes seules.",
    ends_fact: "Les mises à jour de sécurité de {product} prennent fin le {day}.",
    ends_consequence: "Après cette date, les nouvelles failles de sécurité ne seront plus corrigées.",
    ended_fact: "Les mises à jour de sécurité de {product} ont pris fin le {day}.",
    ended_consequence: "Les nouvelles failles de sécurité ne sont plus corrigées.",
    extended_fact: "Bonne nouvelle : les mises à jour de sécurité de {product} continuent jusqu’au {day}. Avant, c’était le {before}.",
    extended_consequence: "D’ici là, les nouvelles failles de sécurité seront corrigées.",
    extended_action: "Vous n’avez rien à faire.",
    ceases_fact: "{maker} cesse son activité le {on}.",
    ceases_consequence: "Après cette date, les nouvelles failles de sécurité de {product} risquent de ne pas être corrigées, alors que cela était promis jusqu’au {day}.",
    contact: "Questions : {contact}",
};

const SPANISH: Notices = Notices {
    until_fact: "{product} recibe actualizaciones de seguridad hasta el {day}.",
    until_consequence: "Hasta entonces se corregirán los nuevos fallos de seguridad. Después:",
    until_action: "No tiene que hacer nada: las actualizaciones se instalan solas.",
    ends_fact: "Las actualizaciones de seguridad de {product} terminan el {day}.",
    ends_consequence: "Después de esa fecha no se corregirán los nuevos fallos de seguridad.",
    ended_fact: "Las actualizaciones de seguridad de {product} terminaron el {day}.",
    ended_consequence: "Los nuevos fallos de seguridad ya no se corrigen.",
    extended_fact: "Buenas noticias: las actualizaciones de seguridad de {product} siguen hasta el {day}. Antes era el {before}.",
    extended_consequence: "Hasta entonces se corregirán los nuevos fallos de seguridad.",
    extended_action: "No tiene que hacer nada.",
    ceases_fact: "{maker} cesa su actividad el {on}.",
    ceases_consequence: "Después de esa fecha es posible que no se corrijan los nuevos fallos de seguridad de {product}, aunque se prometió hasta el {day}.",
    contact: "Preguntas: {contact}",
};

const WELSH: Notices = Notices {
    until_fact: "Bydd {product} yn cael diweddariadau diogelwch hyd at {day}.",
    until_consequence: "Tan hynny, caiff tyllau diogelwch newydd eu trwsio. Ar ôl hynny:",
    until_action: "Nid oes angen i chi wneud dim: caiff diweddariadau eu gosod yn awtomatig.",
    ends_fact: "Daw diweddariadau diogelwch ar gyfer {product} i ben ar {day}.",
    ends_consequence: "Ar ôl hynny, ni chaiff tyllau diogelwch newydd eu trwsio.",
    ended_fact: "Daeth diweddariadau diogelwch ar gyfer {product} i ben ar {day}.",
    ended_consequence: "Nid yw tyllau diogelwch newydd yn cael eu trwsio mwyach.",
    extended_fact: "Newyddion da: bydd diweddariadau diogelwch ar gyfer {product} nawr yn parhau hyd at {day}. Cyn hyn, {before} oedd y dyddiad.",
    extended_consequence: "Tan hynny, caiff tyllau diogelwch newydd eu trwsio.",
    extended_action: "Nid oes angen i chi wneud dim.",
    ceases_fact: "Bydd {maker} yn rhoi’r gorau i weithredu ar {on}.",
    ceases_consequence: "Ar ôl hynny, mae’n bosibl na chaiff tyllau diogelwch newydd yn {product} eu trwsio, er bod hynny wedi’i addo hyd at {day}.",
    contact: "Cwestiynau: {contact}",
};
