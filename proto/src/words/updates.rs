//! What is said about updates, about the owner's choice, and about a maker that is silent.

use super::topic;

topic! {
    /// The notices about updates and about a maker that is silent, and what the owner can choose.
    Updates {
        /// An update is there.
        available_fact,
        /// What is better with it.
        removes_risk,
        /// It has no security fixes.
        no_fixes,
        /// What the owner notices: nothing.
        disrupts_nothing,
        /// What the owner notices: a restart.
        disrupts_restart,
        /// What the owner notices: the product is out of use.
        disrupts_outage,
        /// It comes by itself.
        comes_by_itself,
        /// It waits for the owner.
        waits_for_owner,
        /// An update was installed.
        installed_fact,
        /// What is better now.
        removed_risk,
        /// What is different now, if it had no security fixes.
        installed_changes,
        /// Nothing is to be done.
        nothing_to_do,
        /// An update did not work.
        failed_fact,
        /// What that means.
        failed_consequence,
        /// The risk is still there.
        risk_stays,
        /// What happens next.
        failed_action,
        /// Updates come by themselves; how to change that.
        automatic_on,
        /// They do not; how to change that.
        automatic_off,
        /// The question at set-up.
        asks,
        /// An operator decides.
        managed,
        /// The maker is silent.
        silent_fact,
        /// What that means.
        silent_consequence,
        /// What to do.
        silent_action,
        /// The maker was heard of again.
        heard_fact,
        /// For how long it was silent.
        heard_consequence,
    }
}

const ENGLISH: Updates = Updates {
    available_fact: "An update for {product} is there: version {version}.",
    removes_risk: "It closes security holes and removes this risk: {risk}",
    no_fixes: "It changes or adds functions and closes no security holes.",
    disrupts_nothing: "You will notice nothing while it is installed.",
    disrupts_restart: "{product} restarts once for it.",
    disrupts_outage: "While it is installed, you cannot use {product} for some minutes.",
    comes_by_itself: "It is installed by itself.",
    waits_for_owner: "It waits for you, because automatic updates are off. To install it: tenure update",
    installed_fact: "Maintenance is done: {product} now has version {version}.",
    removed_risk: "Security holes were closed. This risk is gone: {risk}",
    installed_changes: "Its maker has changed or added functions.",
    nothing_to_do: "You need to do nothing.",
    failed_fact: "The update of {product} to version {version} did not work.",
    failed_consequence: "{product} runs as it did before.",
    risk_stays: "This risk is still there: {risk}",
    failed_action: "You need to do nothing: the update is tried again, or a better one comes.",
    automatic_on: "To turn that off: tenure set automatic off",
    automatic_off: "Updates are not installed by themselves: each one waits for you. To change that: tenure set automatic on",
    asks: "Install updates by themselves? Yes or no:",
    managed: "Your operator decides when updates are installed.",
    silent_fact: "{product} has heard nothing from {maker} since {since}.",
    silent_consequence: "It promised security updates until {day}. While it is silent, newly found security holes may not be fixed.",
    silent_action: "Ask {maker} whether it still looks after {product}. You can go on using it.",
    heard_fact: "Good news: {product} has heard from {maker} again.",
    heard_consequence: "It had been silent since {since}.",
};

const GERMAN: Updates = Updates {
    available_fact: "Für {product} ist ein Update da: Version {version}.",
    removes_risk: "Es schließt Sicherheitslücken und beseitigt dieses Risiko: {risk}",
    no_fixes: "Es ändert Funktionen oder bringt neue und schließt keine Sicherheitslücken.",
    disrupts_nothing: "Sie merken nichts davon, während es eingespielt wird.",
    disrupts_restart: "{product} startet dafür einmal neu.",
    disrupts_outage: "Während es eingespielt wird, können Sie {product} einige Minuten nicht benutzen.",
    comes_by_itself: "Es wird von selbst eingespielt.",
    waits_for_owner: "Es wartet auf Sie, denn automatische Updates sind ausgeschaltet. So spielen Sie es ein: tenure update",
    installed_fact: "Die Wartung ist fertig: {product} hat jetzt Version {version}.",
    removed_risk: "Sicherheitslücken wurden geschlossen. Dieses Risiko besteht nicht mehr: {risk}",
    installed_changes: "Der Hersteller hat Funktionen geändert oder ergänzt.",
    nothing_to_do: "Sie müssen nichts tun.",
    failed_fact: "Das Update von {product} auf Version {version} hat nicht geklappt.",
    failed_consequence: "{product} läuft wie vorher.",
    risk_stays: "Dieses Risiko besteht weiter: {risk}",
    failed_action: "Sie müssen nichts tun: Das Update wird noch einmal versucht, oder es kommt ein besseres.",
    automatic_on: "So schalten Sie das aus: tenure set automatic off",
    automatic_off: "Updates werden nicht von selbst eingespielt: Jedes wartet auf Sie. So ändern Sie das: tenure set automatic on",
    asks: "Updates von selbst einspielen? Ja oder nein:",
    managed: "Ihr Betreiber entscheidet, wann Updates eingespielt werden.",
    silent_fact: "{product} hat seit dem {since} nichts von {maker} gehört.",
    silent_consequence: "Sicherheits-Updates sind bis zum {day} versprochen. Solange nichts kommt, werden neu entdeckte Sicherheitslücken vielleicht nicht geschlossen.",
    silent_action: "Fragen Sie {maker}, ob {product} noch betreut wird. Sie können es weiter benutzen.",
    heard_fact: "Gute Nachricht: {product} hat wieder von {maker} gehört.",
    heard_consequence: "Seit dem {since} war nichts gekommen.",
};

const FRENCH: Updates = Updates {
    available_fact: "Une mise à jour pour {product} est là : version {version}.",
    removes_risk: "Elle corrige des failles de sécurité et supprime ce risque : {risk}",
    no_fixes: "Elle modifie ou ajoute des fonctions et ne corrige pas de faille de sécurité.",
    disrupts_nothing: "Vous ne remarquerez rien pendant l’installation.",
    disrupts_restart: "{product} redémarre une fois pour cela.",
    disrupts_outage: "Pendant l’installation, vous ne pouvez pas utiliser {product} pendant quelques minutes.",
    comes_by_itself: "Elle s’installe toute seule.",
    waits_for_owner: "Elle vous attend, car les mises à jour automatiques sont désactivées. Pour l’installer : tenure update",
    installed_fact: "L’entretien est terminé : {product} a maintenant la version {version}.",
    removed_risk: "Des failles de sécurité ont été corrigées. Ce risque n’existe plus : {risk}",
    installed_changes: "Le fabricant a modifié ou ajouté des fonctions.",
    nothing_to_do: "Vous n’avez rien à faire.",
    failed_fact: "La mise à jour de {product} vers la version {version} n’a pas marché.",
    failed_consequence: "{product} fonctionne comme avant.",
    risk_stays: "Ce risque existe toujours : {risk}",
    failed_action: "Vous n’avez rien à faire : un nouvel essai aura lieu, ou une meilleure mise à jour viendra.",
    automatic_on: "Pour arrêter cela : tenure set automatic off",
    automatic_off: "Les mises à jour ne s’installent pas toutes seules : chacune vous attend. Pour changer cela : tenure set automatic on",
    asks: "Installer les mises à jour toutes seules ? Oui ou non :",
    managed: "Votre opérateur décide quand les mises à jour s’installent.",
    silent_fact: "{product} n’a plus de nouvelles de {maker} depuis le {since}.",
    silent_consequence: "Des mises à jour de sécurité sont promises jusqu’au {day}. Pendant ce silence, les nouvelles failles de sécurité risquent de ne pas être corrigées.",
    silent_action: "Demandez à {maker} si {product} est toujours suivi. Vous pouvez continuer à l’utiliser.",
    heard_fact: "Bonne nouvelle : {product} a de nouveau des nouvelles de {maker}.",
    heard_consequence: "Il n’y en avait plus depuis le {since}.",
};

const SPANISH: Updates = Updates {
    available_fact: "Hay una actualización para {product}: versión {version}.",
    removes_risk: "Corrige fallos de seguridad y elimina este riesgo: {risk}",
    no_fixes: "Cambia o añade funciones y no corrige fallos de seguridad.",
    disrupts_nothing: "No notará nada mientras se instala.",
    disrupts_restart: "{product} se reinicia una vez para ello.",
    disrupts_outage: "Mientras se instala, no podrá usar {product} durante unos minutos.",
    comes_by_itself: "Se instala sola.",
    waits_for_owner: "Le espera a usted, porque las actualizaciones automáticas están apagadas. Para instalarla: tenure update",
    installed_fact: "El mantenimiento ha terminado: {product} tiene ahora la versión {version}.",
    removed_risk: "Se corrigieron fallos de seguridad. Este riesgo ya no existe: {risk}",
    installed_changes: "El fabricante ha cambiado o añadido funciones.",
    nothing_to_do: "No tiene que hacer nada.",
    failed_fact: "La actualización de {product} a la versión {version} no ha funcionado.",
    failed_consequence: "{product} funciona como antes.",
    risk_stays: "Este riesgo sigue ahí: {risk}",
    failed_action: "No tiene que hacer nada: se intentará otra vez, o llegará una actualización mejor.",
    automatic_on: "Para apagar esto: tenure set automatic off",
    automatic_off: "Las actualizaciones no se instalan solas: cada una le espera a usted. Para cambiar esto: tenure set automatic on",
    asks: "¿Instalar solas las actualizaciones? Sí o no:",
    managed: "Su operador decide cuándo se instalan las actualizaciones.",
    silent_fact: "{product} no sabe nada de {maker} desde el {since}.",
    silent_consequence: "Se prometieron actualizaciones de seguridad hasta el {day}. Mientras dure el silencio, es posible que no se corrijan los nuevos fallos de seguridad.",
    silent_action: "Pregunte a {maker} si todavía cuida de {product}. Puede seguir usándolo.",
    heard_fact: "Buenas noticias: {product} vuelve a tener noticias de {maker}.",
    heard_consequence: "No las tenía desde el {since}.",
};

const WELSH: Updates = Updates {
    available_fact: "Mae diweddariad ar gael ar gyfer {product}: fersiwn {version}.",
    removes_risk: "Mae’n cau tyllau diogelwch ac yn dileu’r risg hon: {risk}",
    no_fixes: "Mae’n newid neu’n ychwanegu nodweddion ac nid yw’n cau tyllau diogelwch.",
    disrupts_nothing: "Ni fyddwch yn sylwi ar ddim wrth iddo gael ei osod.",
    disrupts_restart: "Bydd {product} yn ailgychwyn unwaith ar ei gyfer.",
    disrupts_outage: "Wrth iddo gael ei osod, ni allwch ddefnyddio {product} am rai munudau.",
    comes_by_itself: "Caiff ei osod yn awtomatig.",
    waits_for_owner: "Mae’n aros amdanoch chi, gan fod diweddariadau awtomatig wedi’u diffodd. I’w osod: tenure update",
    installed_fact: "Mae’r gwaith cynnal wedi’i wneud: fersiwn {version} sydd gan {product} nawr.",
    removed_risk: "Caewyd tyllau diogelwch. Mae’r risg hon wedi mynd: {risk}",
    installed_changes: "Mae’r gwneuthurwr wedi newid neu ychwanegu nodweddion.",
    nothing_to_do: "Nid oes angen i chi wneud dim.",
    failed_fact: "Ni weithiodd y diweddariad o {product} i fersiwn {version}.",
    failed_consequence: "Mae {product} yn rhedeg fel o’r blaen.",
    risk_stays: "Mae’r risg hon yno o hyd: {risk}",
    failed_action: "Nid oes angen i chi wneud dim: rhoddir cynnig arall arno, neu daw un gwell.",
    automatic_on: "I ddiffodd hynny: tenure set automatic off",
    automatic_off: "Ni chaiff diweddariadau eu gosod yn awtomatig: mae pob un yn aros amdanoch chi. I newid hynny: tenure set automatic on",
    asks: "Gosod diweddariadau’n awtomatig? Ie neu na:",
    managed: "Eich gweithredwr sy’n penderfynu pryd y caiff diweddariadau eu gosod.",
    silent_fact: "Nid yw {product} wedi clywed dim gan {maker} ers {since}.",
    silent_consequence: "Addawyd diweddariadau diogelwch hyd at {day}. Tra bo’n dawel, mae’n bosibl na chaiff tyllau diogelwch newydd eu trwsio.",
    silent_action: "Gofynnwch i {maker} a yw’n dal i ofalu am {product}. Gallwch barhau i’w ddefnyddio.",
    heard_fact: "Newyddion da: mae {product} wedi clywed gan {maker} eto.",
    heard_consequence: "Bu’n dawel ers {since}.",
};
