//! What the commands of an owner answer: choices, checks, and what was put off or erased.

use super::topic;

topic! {
    /// The answers of the agent's commands.
    Answers {
        /// Who decided: whoever runs the product.
        by_operator,
        /// Who decided: the owner.
        chosen,
        /// Who decided: the maker.
        by_maker,
        /// How to decide.
        to_change,
        /// What holds from now on.
        now_is,
        /// What a check led to: nothing.
        up_to_date,
        /// What a check led to: the server is not sure of this product.
        not_yet_known,
        /// What a check led to: the server wants nothing of this product.
        turned_away,
        /// What a check led to: an update is almost done.
        about_to_end,
        /// What a check led to: a fault.
        failed,
        /// The version that runs is kept.
        version_kept,
        /// The version before comes back.
        goes_back,
        /// The restart that was asked for.
        restarts,
        /// Until when updates wait.
        deferred,
        /// Until when updates wait at most.
        deferred_most,
        /// They wait no more.
        not_deferred,
        /// What is to be erased, and how to say so.
        erase_asks,
        /// What was erased.
        erased,
        /// What was not.
        not_erased,
        /// What the next owner is to do.
        next_owner,
        /// An update was broken off.
        cancelled,
        /// A version may be tried again.
        tried_again,
    }
}

const ENGLISH: Answers = Answers {
    by_operator: "decided by the operator of this device",
    chosen: "chosen here",
    by_maker: "as the maker has set it",
    to_change: "To change one: tenure set SETTING VALUE",
    now_is: "{name} is now {value}.",
    up_to_date: "up to date",
    not_yet_known: "nothing to install; the server has yet to accept this device",
    turned_away: "nothing to install; the server has refused this device",
    about_to_end: "an update is about to end",
    failed: "failed: {reason}",
    version_kept: "The version that runs is kept.",
    goes_back: "The device restarts into the version that ran before.",
    restarts: "The device restarts into the update.",
    deferred: "Updates wait with their restart until {at}.",
    deferred_most: "Updates wait with their restart until {at}, the longest that the maker of this device allows.",
    not_deferred: "Updates do not wait for you.",
    erase_asks: "This erases what was chosen, put off and read on this device, and the local page's password. Type yes to go on:",
    erased: "Erased: what was chosen, what was put off, which notices were told and read, and the local page's password.",
    not_erased: "Kept: the maker's promise and the evidence about it, the software, the record of its updates and the device's own key. None of them says who owns the device.",
    next_owner: "Whoever owns it next is told the facts again. For the local page, make a new password: tenure password",
    cancelled: "The update is cancelled. It comes again in a day, or when you run: tenure update",
    tried_again: "It is tried again at the next check, if it is there still. To check now: tenure update",
};

const GERMAN: Answers = Answers {
    by_operator: "vom Betreiber dieses Geräts bestimmt",
    chosen: "hier gewählt",
    by_maker: "wie vom Hersteller eingestellt",
    to_change: "So ändern Sie eine: tenure set SETTING VALUE",
    now_is: "{name} ist jetzt {value}.",
    up_to_date: "auf dem neuesten Stand",
    not_yet_known: "nichts einzuspielen; der Server hat dieses Gerät noch nicht angenommen",
    turned_away: "nichts einzuspielen; der Server hat dieses Gerät abgelehnt",
    about_to_end: "ein Update ist gleich fertig",
    failed: "fehlgeschlagen: {reason}",
    version_kept: "Die Version, die läuft, wird behalten.",
    goes_back: "Das Gerät startet neu, in die vorige Version.",
    restarts: "Das Gerät startet neu, in das Update.",
    deferred: "Updates warten mit dem Neustart bis zum {at}.",
    deferred_most: "Updates warten mit dem Neustart bis zum {at}; länger lässt der Hersteller es nicht zu.",
    not_deferred: "Updates warten nicht auf Sie.",
    erase_asks: "Das löscht, was auf diesem Gerät gewählt, verschoben und gelesen wurde, und das Passwort der lokalen Seite. Zum Fortfahren yes eingeben:",
    erased: "Gelöscht: was gewählt und was verschoben wurde, welche Hinweise gesagt und gelesen wurden, und das Passwort der lokalen Seite.",
    not_erased: "Behalten: das Versprechen des Herstellers und was es belegt, die Software, die Liste ihrer Updates und der eigene Schlüssel des Geräts. Nichts davon sagt, wem das Gerät gehört.",
    next_owner: "Wem es als Nächstes gehört, dem werden die Fakten neu gesagt. Für die lokale Seite ein neues Passwort machen: tenure password",
    cancelled: "Das Update ist abgebrochen. Es kommt in einem Tag wieder, oder mit: tenure update",
    tried_again: "Es wird beim nächsten Mal noch einmal versucht, wenn es dann noch da ist. Gleich nachsehen: tenure update",
};

const FRENCH: Answers = Answers {
    by_operator: "décidé par l’exploitant de cet appareil",
    chosen: "choisi ici",
    by_maker: "réglé par le fabricant",
    to_change: "Pour changer : tenure set SETTING VALUE",
    now_is: "{name} est maintenant {value}.",
    up_to_date: "à jour",
    not_yet_known: "rien à installer ; le serveur n’a pas encore accepté cet appareil",
    turned_away: "rien à installer ; le serveur a refusé cet appareil",
    about_to_end: "une mise à jour se termine",
    failed: "échec : {reason}",
    version_kept: "La version en marche est gardée.",
    goes_back: "L’appareil redémarre, avec la version d’avant.",
    restarts: "L’appareil redémarre, avec la mise à jour.",
    deferred: "Les mises à jour attendent le redémarrage jusqu’au {at}.",
    deferred_most: "Les mises à jour attendent le redémarrage jusqu’au {at}, le plus tard que le fabricant permet.",
    not_deferred: "Les mises à jour ne vous attendent pas.",
    erase_asks: "Ceci efface ce qui a été choisi, reporté et lu sur cet appareil, et le mot de passe de la page locale. Tapez yes pour continuer :",
    erased: "Effacé : ce qui a été choisi et reporté, quels avis ont été donnés et lus, et le mot de passe de la page locale.",
    not_erased: "Gardé : la promesse du fabricant et ses preuves, le logiciel, la liste de ses mises à jour et la clé de l’appareil. Rien de cela ne dit à qui est l’appareil.",
    next_owner: "Le prochain propriétaire recevra les faits à nouveau. Pour la page locale, faites un mot de passe neuf : tenure password",
    cancelled: "La mise à jour est annulée. Elle revient dans un jour, ou avec : tenure update",
    tried_again: "Un nouvel essai aura lieu la prochaine fois, si elle est encore là. Pour voir maintenant : tenure update",
};

const SPANISH: Answers = Answers {
    by_operator: "decidido por quien opera este aparato",
    chosen: "elegido aquí",
    by_maker: "como lo puso el fabricante",
    to_change: "Para cambiar: tenure set SETTING VALUE",
    now_is: "{name} es ahora {value}.",
    up_to_date: "al día",
    not_yet_known: "nada que instalar; el servidor aún no ha aceptado este aparato",
    turned_away: "nada que instalar; el servidor ha rechazado este aparato",
    about_to_end: "una actualización está a punto de acabar",
    failed: "ha fallado: {reason}",
    version_kept: "La versión en marcha se conserva.",
    goes_back: "El aparato se reinicia con la versión anterior.",
    restarts: "El aparato se reinicia con la actualización.",
    deferred: "Las actualizaciones esperan el reinicio hasta el {at}.",
    deferred_most: "Las actualizaciones esperan el reinicio hasta el {at}, lo máximo que permite el fabricante.",
    not_deferred: "Las actualizaciones no le esperan.",
    erase_asks: "Esto borra lo elegido, aplazado y leído en este aparato, y la contraseña de la página local. Escriba yes para seguir:",
    erased: "Borrado: lo elegido y lo aplazado, qué avisos se dieron y se leyeron, y la contraseña de la página local.",
    not_erased: "Conservado: la promesa del fabricante y sus pruebas, el software, la lista de sus actualizaciones y la clave del aparato. Nada de ello dice de quién es el aparato.",
    next_owner: "Al próximo dueño se le darán los datos de nuevo. Para la página local, haga una contraseña nueva: tenure password",
    cancelled: "La actualización se ha cancelado. Vuelve en un día, o con: tenure update",
    tried_again: "Se intenta de nuevo la próxima vez, si todavía está. Para mirar ahora: tenure update",
};

const WELSH: Answers = Answers {
    by_operator: "penderfynwyd gan weithredwr y ddyfais hon",
    chosen: "dewiswyd yma",
    by_maker: "fel y’i gosodwyd gan y gwneuthurwr",
    to_change: "I newid un: tenure set SETTING VALUE",
    now_is: "{name} yw {value} nawr.",
    up_to_date: "wedi’i diweddaru",
    not_yet_known: "dim i’w osod; nid yw’r gweinydd wedi derbyn y ddyfais hon eto",
    turned_away: "dim i’w osod; mae’r gweinydd wedi gwrthod y ddyfais hon",
    about_to_end: "mae diweddariad ar fin gorffen",
    failed: "methodd: {reason}",
    version_kept: "Cedwir y fersiwn sy’n rhedeg.",
    goes_back: "Mae’r ddyfais yn ailgychwyn i’r fersiwn flaenorol.",
    restarts: "Mae’r ddyfais yn ailgychwyn i’r diweddariad.",
    deferred: "Mae diweddariadau’n aros am yr ailgychwyn hyd at {at}.",
    deferred_most: "Mae diweddariadau’n aros am yr ailgychwyn hyd at {at}, y mwyaf y mae’r gwneuthurwr yn ei ganiatáu.",
    not_deferred: "Nid yw diweddariadau’n aros amdanoch.",
    erase_asks: "Mae hyn yn dileu’r hyn a ddewiswyd, a ohiriwyd ac a ddarllenwyd ar y ddyfais hon, a chyfrinair y dudalen leol. Teipiwch yes i fynd ymlaen:",
    erased: "Dilëwyd: yr hyn a ddewiswyd ac a ohiriwyd, pa hysbysiadau a roddwyd ac a ddarllenwyd, a chyfrinair y dudalen leol.",
    not_erased: "Cadwyd: addewid y gwneuthurwr a’r prawf ohono, y feddalwedd, y rhestr o’i diweddariadau ac allwedd y ddyfais ei hun. Nid oes dim ohonynt yn dweud pwy biau’r ddyfais.",
    next_owner: "Rhoddir y ffeithiau eto i’r perchennog nesaf. Ar gyfer y dudalen leol, gwnewch gyfrinair newydd: tenure password",
    cancelled: "Canslwyd y diweddariad. Daw eto ymhen diwrnod, neu gyda: tenure update",
    tried_again: "Rhoddir cynnig arall arni y tro nesaf, os yw yno o hyd. I edrych nawr: tenure update",
};
