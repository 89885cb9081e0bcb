//! What is said when the software was changed by other means than an update.

use super::topic;

topic! {
    /// The notice of a change that was not an update.
    Changes {
        /// There was one.
        changed,
        /// What that may mean.
        may_do_other,
        /// The network is shut off until it is put right.
        is_shut,
        /// What helps.
        what_helps,
    }
}

const ENGLISH: Changes = Changes {
    changed: "The software of {product} was changed, and not by an update.",
    may_do_other: "It may now do things that {maker} did not build it for.",
    is_shut: "Until this is put right, {product} is cut off from most of the network.",
    what_helps: "The next update puts it right, or ask {maker}. If you made the change yourself: tenure integrity --restored",
};

const GERMAN: Changes = Changes {
    changed: "Die Software von {product} wurde geändert, und nicht durch ein Update.",
    may_do_other: "Sie tut jetzt vielleicht etwas, wofür {maker} sie nicht gebaut hat.",
    is_shut: "Bis das behoben ist, ist {product} vom größten Teil des Netzes getrennt.",
    what_helps: "Das nächste Update behebt es, oder fragen Sie {maker}. Wenn Sie selbst etwas geändert haben: tenure integrity --restored",
};

const FRENCH: Changes = Changes {
    changed: "Le logiciel de {product} a été modifié, et pas par une mise à jour.",
    may_do_other: "Il fait peut-être des choses que {maker} n’a pas prévues.",
    is_shut: "Tant que ce n’est pas réparé, {product} est coupé de presque tout le réseau.",
    what_helps: "La prochaine mise à jour répare cela, ou demandez à {maker}. Si vous avez fait ce changement vous-même : tenure integrity --restored",
};

const SPANISH: Changes = Changes {
    changed: "El programa de {product} ha cambiado, y no por una actualización.",
    may_do_other: "Puede que ahora haga cosas para las que {maker} no lo hizo.",
    is_shut: "Hasta que se arregle, {product} no llega a casi nada de la red.",
    what_helps: "La próxima actualización lo arregla, o pregunte a {maker}. Si hizo usted el cambio: tenure integrity --restored",
};

const WELSH: Changes = Changes {
    changed: "Newidiwyd meddalwedd {product}, ac nid gan ddiweddariad.",
    may_do_other: "Efallai ei fod nawr yn gwneud pethau na fwriadodd {maker}.",
    is_shut: "Nes bod hyn wedi’i drwsio, mae {product} wedi’i dorri oddi ar y rhan fwyaf o’r rhwydwaith.",
    what_helps: "Bydd y diweddariad nesaf yn ei drwsio, neu gofynnwch i {maker}. Os chi wnaeth y newid: tenure integrity --restored",
};
