//! What an owner reads at a terminal about an update: what it waits for, and how it ended.

use super::topic;

topic! {
    /// The lines of `tenure status` about updates that wait and updates that ended.
    Progress {
        /// Over what an update waits for.
        waits_for,
        /// Over the moment when it waits no longer.
        latest,
        /// Over the owner's putting it off.
        put_off,
        /// Over a restart that does not come.
        restart,
        /// Over how the last update ended.
        last,
        /// Over versions that failed here.
        failed,
        /// Over a product with no healthy version.
        rescue,
        /// Until when the owner put it off.
        until_put_off,
        /// A restart that is tried again.
        again,
        /// A version that waits to be installed.
        to_install,
        /// A version that waits for the restart.
        to_restart,
        /// It waits: the product is at work.
        inhibited,
        /// It waits: another program is at work.
        locked,
        /// It waits: the battery is low.
        battery,
        /// It waits: there is no mains.
        mains,
        /// It waits: the owner put it off.
        owner_until,
        /// It waits: the owner asked to be asked.
        owner,
        /// It waits: for the hours of the day.
        window,
        /// It waits: the hour is not known.
        clock,
        /// It waits: the zone is not known.
        zone,
        /// It waits: the product is in use.
        busy,
        /// It waits: for the end of the quiet hours.
        quiet,
        /// It waits: updates are installed by hand.
        by_hand,
        /// It waits: the network costs by the byte.
        metered,
        /// It waits: there is no room.
        room,
        /// How an update ended.
        confirmed,
        /// How an update ended.
        fell_back,
        /// How an update ended.
        not_installed,
        /// What is worse since a good update.
        since_then,
        /// A version that failed, and how to let it be tried again.
        retry,
        /// Since when no version is healthy.
        nothing_healthy,
    }
}

const ENGLISH: Progress = Progress {
    waits_for: "Waits for",
    latest: "At the latest",
    put_off: "Put off",
    restart: "Restart",
    last: "Last update",
    failed: "Failed here",
    rescue: "Rescue",
    until_put_off: "until {at}; no longer: `tenure defer --withdraw`",
    again: "is tried again: {trouble}",
    to_install: "version {version} waits to be installed: {holds}",
    to_restart: "version {version} is installed and waits for the restart: {holds}",
    inhibited: "{why} ({name}), since {since}; this counts until {until}, unless it is renewed",
    locked: "{who}, which holds a lock of the system: {why}",
    battery: "power: the battery has {percent}, and {least} is the least; connect the device to mains",
    mains: "power: connect the device to mains",
    owner_until: "the owner, who put it off until {at}; now: `tenure restart`",
    owner: "the owner: `tenure restart`",
    window: "the window that opens on {at}; now: `tenure restart`",
    clock: "a clock that is proven, to know its window; after {left} any time will do; now: `tenure restart`",
    zone: "a time zone that is known here, to know its window (restart.time_zone); after {left} any time will do; now: `tenure restart`",
    busy: "an idle device: {why}; now: `tenure restart`",
    quiet: "the end of the quiet hours, {at}; now: `tenure update` or `tenure restart`",
    by_hand: "its owner, who installs updates: `tenure update`",
    metered: "a network that is not metered; over this one: download.metered",
    room: "room: the state folder has {free} bytes free, and {needed} are needed",
    confirmed: "{update} was installed",
    fell_back: "{update} was not healthy, and the version before runs again",
    not_installed: "{update} was not installed",
    since_then: "{said}; since then: {found}",
    retry: "version {version}; to let it be tried again: `tenure retry {version}`",
    nothing_healthy: "since {at} no version here is healthy, and the device waits for another one ({reason})",
};

const GERMAN: Progress = Progress {
    waits_for: "Wartet auf",
    latest: "Spätestens",
    put_off: "Verschoben",
    restart: "Neustart",
    last: "Letztes Update",
    failed: "Hier gescheitert",
    rescue: "Notlage",
    until_put_off: "bis zum {at}; nicht länger: `tenure defer --withdraw`",
    again: "wird noch einmal versucht: {trouble}",
    to_install: "Version {version} soll noch eingespielt werden und wartet: {holds}",
    to_restart: "Version {version} ist eingespielt und wartet auf den Neustart: {holds}",
    inhibited: "{why} ({name}), seit {since}; das gilt bis {until}, wenn es nicht erneuert wird",
    locked: "{who}, das eine Sperre des Systems hält: {why}",
    battery: "Strom: der Akku hat {percent}, und {least} sind das Mindeste; schließen Sie das Gerät an das Stromnetz an",
    mains: "Strom: schließen Sie das Gerät an das Stromnetz an",
    owner_until: "den Besitzer, der es bis {at} verschoben hat; jetzt: `tenure restart`",
    owner: "den Besitzer: `tenure restart`",
    window: "das Zeitfenster, das sich am {at} öffnet; jetzt: `tenure restart`",
    clock: "eine bewiesene Uhrzeit, um sein Zeitfenster zu kennen; noch {left}, dann passt jede Zeit; jetzt: `tenure restart`",
    zone: "eine Zeitzone, die hier bekannt ist, um sein Zeitfenster zu kennen (restart.time_zone); noch {left}, dann passt jede Zeit; jetzt: `tenure restart`",
    busy: "ein ruhendes Gerät: {why}; jetzt: `tenure restart`",
    quiet: "das Ende der Ruhezeit, {at}; jetzt: `tenure update` oder `tenure restart`",
    by_hand: "den Besitzer, der Updates selbst einspielt: `tenure update`",
    metered: "ein Netz, das nicht nach Menge kostet; auch über dieses: download.metered",
    room: "Platz: im Ordner des Zustands sind {free} Byte frei, und {needed} sind nötig",
    confirmed: "{update} wurde eingespielt",
    fell_back: "{update} war nicht gesund, und die vorige läuft wieder",
    not_installed: "{update} wurde nicht eingespielt",
    since_then: "{said}; seitdem: {found}",
    retry: "Version {version}; noch einmal versuchen lassen: `tenure retry {version}`",
    nothing_healthy: "seit {at} ist hier keine Version gesund, und das Gerät wartet auf eine andere ({reason})",
};

const FRENCH: Progress = Progress {
    waits_for: "Attend",
    latest: "Au plus tard",
    put_off: "Reporté",
    restart: "Redémarrage",
    last: "Dernière fois",
    failed: "Échec ici",
    rescue: "Secours",
    until_put_off: "jusqu’au {at} ; pour ne plus reporter : `tenure defer --withdraw`",
    again: "nouvel essai : {trouble}",
    to_install: "la version {version} attend d’être installée : {holds}",
    to_restart: "la version {version} est installée et attend le redémarrage : {holds}",
    inhibited: "{why} ({name}), depuis {since} ; ceci vaut jusqu’à {until}, sauf s’il est renouvelé",
    locked: "{who}, qui tient un verrou du système : {why}",
    battery: "courant : la batterie a {percent}, et {least} est le minimum ; branchez l’appareil au secteur",
    mains: "courant : branchez l’appareil au secteur",
    owner_until: "le propriétaire, qui l’a reportée au {at} ; maintenant : `tenure restart`",
    owner: "le propriétaire : `tenure restart`",
    window: "la plage horaire qui s’ouvre le {at} ; maintenant : `tenure restart`",
    clock: "une heure prouvée, pour connaître sa plage horaire ; encore {left}, puis tout moment convient ; maintenant : `tenure restart`",
    zone: "un fuseau horaire connu ici, pour connaître sa plage horaire (restart.time_zone) ; encore {left}, puis tout moment convient ; maintenant : `tenure restart`",
    busy: "un appareil au repos : {why} ; maintenant : `tenure restart`",
    quiet: "la fin des heures calmes, {at} ; maintenant : `tenure update` ou `tenure restart`",
    by_hand: "son propriétaire, qui installe les mises à jour : `tenure update`",
    metered: "un réseau qui ne coûte pas au volume ; même par celui-ci : download.metered",
    room: "place : le dossier d’état a {free} octets libres, et il en faut {needed}",
    confirmed: "{update} : installée",
    fell_back: "{update} : elle n’allait pas bien, et la précédente fonctionne à nouveau",
    not_installed: "{update} : pas installée",
    since_then: "{said} ; depuis : {found}",
    retry: "version {version} ; pour permettre un nouvel essai : `tenure retry {version}`",
    nothing_healthy: "depuis le {at}, aucune version ne va bien ici, et l’appareil en attend une autre ({reason})",
};

const SPANISH: Progress = Progress {
    waits_for: "Espera",
    latest: "A más tardar",
    put_off: "Aplazado",
    restart: "Reinicio",
    last: "La última",
    failed: "Falló aquí",
    rescue: "Rescate",
    until_put_off: "hasta el {at}; para no aplazar más: `tenure defer --withdraw`",
    again: "se intenta de nuevo: {trouble}",
    to_install: "la versión {version} espera para instalarse: {holds}",
    to_restart: "la versión {version} está instalada y espera el reinicio: {holds}",
    inhibited: "{why} ({name}), desde el {since}; esto vale hasta el {until}, si no se renueva",
    locked: "{who}, que tiene un bloqueo del sistema: {why}",
    battery: "corriente: la batería tiene {percent}, y {least} es lo mínimo; conecte el aparato a la red eléctrica",
    mains: "corriente: conecte el aparato a la red eléctrica",
    owner_until: "al dueño, que lo aplazó hasta el {at}; ahora: `tenure restart`",
    owner: "al dueño: `tenure restart`",
    window: "a la franja que se abre el {at}; ahora: `tenure restart`",
    clock: "a tener una hora probada, para conocer su franja; aún {left}, y luego vale cualquier hora; ahora: `tenure restart`",
    zone: "a tener un huso horario conocido aquí, para conocer su franja (restart.time_zone); aún {left}, y luego vale cualquier hora; ahora: `tenure restart`",
    busy: "a que el aparato descanse: {why}; ahora: `tenure restart`",
    quiet: "al fin de las horas de calma, {at}; ahora: `tenure update` o `tenure restart`",
    by_hand: "al dueño, que instala él mismo: `tenure update`",
    metered: "a una red que no cueste por volumen; también por esta: download.metered",
    room: "sitio: la carpeta de estado tiene {free} bytes libres, y hacen falta {needed}",
    confirmed: "{update}: instalada",
    fell_back: "{update}: no funcionó bien, y la anterior está de nuevo en marcha",
    not_installed: "{update}: no se instaló",
    since_then: "{said}; desde entonces: {found}",
    retry: "versión {version}; para que se intente de nuevo: `tenure retry {version}`",
    nothing_healthy: "desde el {at} ninguna versión funciona bien aquí, y el aparato espera otra ({reason})",
};

const WELSH: Progress = Progress {
    waits_for: "Yn aros am",
    latest: "Fan hwyraf",
    put_off: "Gohiriwyd",
    restart: "Ailgychwyn",
    last: "Y diwethaf",
    failed: "Methodd yma",
    rescue: "Achub",
    until_put_off: "hyd at {at}; heb ohirio mwy: `tenure defer --withdraw`",
    again: "rhoddir cynnig arall arni: {trouble}",
    to_install: "mae fersiwn {version} yn aros i’w gosod: {holds}",
    to_restart: "mae fersiwn {version} wedi’i gosod ac yn aros am yr ailgychwyn: {holds}",
    inhibited: "{why} ({name}), ers {since}; mae hyn yn cyfrif hyd at {until}, oni chaiff ei adnewyddu",
    locked: "{who}, sy’n dal clo’r system: {why}",
    battery: "pŵer: mae’r batri ar {percent}, a {least} yw’r lleiaf; cysylltwch y ddyfais â’r prif gyflenwad",
    mains: "pŵer: cysylltwch y ddyfais â’r prif gyflenwad",
    owner_until: "y perchennog, a’i gohiriodd hyd at {at}; nawr: `tenure restart`",
    owner: "y perchennog: `tenure restart`",
    window: "yr oriau sy’n agor ar {at}; nawr: `tenure restart`",
    clock: "cloc wedi’i brofi, i wybod ei horiau; ar ôl {left} bydd unrhyw adeg yn iawn; nawr: `tenure restart`",
    zone: "cylchfa amser sy’n hysbys yma, i wybod ei horiau (restart.time_zone); ar ôl {left} bydd unrhyw adeg yn iawn; nawr: `tenure restart`",
    busy: "dyfais segur: {why}; nawr: `tenure restart`",
    quiet: "diwedd yr oriau tawel, {at}; nawr: `tenure update` neu `tenure restart`",
    by_hand: "ei pherchennog, sy’n gosod diweddariadau: `tenure update`",
    metered: "rhwydwaith nad yw’n costio fesul maint; dros hwn hefyd: download.metered",
    room: "lle: mae {free} beit yn rhydd yn y ffolder cyflwr, ac mae angen {needed}",
    confirmed: "{update}: gosodwyd",
    fell_back: "{update}: nid oedd yn iach, ac mae’r un flaenorol yn rhedeg eto",
    not_installed: "{update}: ni osodwyd",
    since_then: "{said}; ers hynny: {found}",
    retry: "fersiwn {version}; i adael rhoi cynnig arall arni: `tenure retry {version}`",
    nothing_healthy: "ers {at} nid oes fersiwn iach yma, ac mae’r ddyfais yn aros am un arall ({reason})",
};
