//! What the public pages say of a promise.

use super::topic;

topic! {
    /// The public pages: the promise and whom to ask.
    PublicPages {
        /// The link over the head of the page.
        skip,
        /// The list of languages.
        languages,
        /// The way to the list.
        all_products,
        /// The way for those who run the server.
        operators,
        /// The list of products.
        index_title,
        /// What the list says.
        index_lead,
        /// Nothing is in it.
        index_empty,
        /// A day that is to come, in a list.
        until,
        /// A day that is past, in a list.
        ended,
        /// Who made it.
        made_by,
        /// The page's name.
        title_until,
        /// The page's name after the end.
        title_ended,
        /// What the box with the day is.
        promise_label,
        /// Before the day.
        until_before,
        /// After the day.
        until_after,
        /// Before a day that is past.
        ended_before,
        /// After a day that is past.
        ended_after,
        /// Before the day, if the maker stops.
        promised_before,
        /// After the day, if the maker stops.
        promised_after,
        /// The maker stops.
        ceases,
        /// What that means.
        ceases_after,
        /// Which units the page is about.
        batch,
        /// All others have the model's day.
        batch_others,
        /// The heading over later days.
        batches,
        /// What the list of batches says.
        batches_lead,
        /// Some units have a day of their own.
        units,
        /// The heading of a product without updates.
        fixed,
        /// Until when it is replaced.
        fixed_replaced,
        /// How to isolate it.
        fixed_isolate,
        /// What is covered.
        covered,
        /// The device, as a part that is covered.
        device,
        /// The app, as a part that is covered.
        app,
        /// The service, as a part that is covered.
        service,
        /// The heading over what comes after the end.
        after,
        /// The same when the end is past.
        means,
        /// Before the maker's words on risks.
        risks,
        /// Before the maker's advice.
        advice,
        /// The heading over the contacts.
        questions,
        /// Whom to write to.
        contact,
        /// Where a person answers.
        person,
        /// When the first answer comes.
        first_answer,
        /// One day.
        within_day,
        /// Some days.
        within_days,
        /// How often there is news.
        news,
        /// Each day.
        every_day,
        /// Each few days.
        every_days,
        /// The way to the page for reports.
        policy,
    }
}

const ENGLISH: PublicPages = PublicPages {
    skip: "Skip to the content",
    languages: "Languages",
    all_products: "All products",
    operators: "For operators",
    index_title: "Security updates: until when",
    index_lead: "Each product here gets security updates at least until the day shown. The day can be moved later, never earlier.",
    index_empty: "No product is listed yet.",
    until: "Until {day}",
    ended: "Ended on {day}",
    made_by: "Made by {maker}",
    title_until: "{product}: security updates until {day}",
    title_ended: "{product}: security updates ended on {day}",
    promise_label: "Until when there are security updates",
    until_before: "Security updates until",
    until_after: "Until the end of that day, newly found security holes will be fixed. The day can be moved later, never earlier.",
    ended_before: "Security updates ended on",
    ended_after: "Newly found security holes are no longer fixed.",
    promised_before: "Security updates were promised until",
    promised_after: "The day can be moved later, never earlier.",
    ceases: "{maker} stops operating on {day}.",
    ceases_after: "After that, newly found security holes may not be fixed.",
    batch: "Units of batch {batch}",
    batch_others: "All other units: until {day}",
    batches: "Later days for some units",
    batches_lead: "You find the batch on the product or its box. These batches have a later day:",
    units: "Some single units have a later day, too. The product itself shows its own day, and the contact below can tell you.",
    fixed: "This product cannot be updated",
    fixed_replaced: "Until {day} it is replaced:",
    fixed_isolate: "To cut it off from networks:",
    covered: "What is covered",
    device: "Device",
    app: "App",
    service: "Service",
    after: "After that day",
    means: "What this means",
    risks: "Risks:",
    advice: "What you can do:",
    questions: "Found a security problem, or have a question?",
    contact: "Contact",
    person: "A person answers",
    first_answer: "First answer",
    within_day: "Within 1 day",
    within_days: "Within {days} days",
    news: "News until it is solved",
    every_day: "Every day",
    every_days: "Every {days} days",
    policy: "How to report a problem, and what happens then",
};

const GERMAN: PublicPages = PublicPages {
    skip: "Zum Inhalt",
    languages: "Sprachen",
    all_products: "Alle Produkte",
    operators: "Für Betreiber",
    index_title: "Sicherheits-Updates: wie lange",
    index_lead: "Jedes Produkt hier bekommt mindestens bis zum genannten Tag Sicherheits-Updates. Der Tag kann später werden, nie früher.",
    index_empty: "Noch ist kein Produkt genannt.",
    until: "Bis {day}",
    ended: "Endete am {day}",
    made_by: "Hergestellt von {maker}",
    title_until: "{product}: Sicherheits-Updates bis zum {day}",
    title_ended: "{product}: Sicherheits-Updates endeten am {day}",
    promise_label: "Wie lange es Sicherheits-Updates gibt",
    until_before: "Sicherheits-Updates bis zum",
    until_after: "Bis zum Ende dieses Tages werden neu entdeckte Sicherheitslücken geschlossen. Der Tag kann später werden, nie früher.",
    ended_before: "Die Sicherheits-Updates endeten am",
    ended_after: "Neu entdeckte Sicherheitslücken werden nicht mehr geschlossen.",
    promised_before: "Sicherheits-Updates sind versprochen bis zum",
    promised_after: "Der Tag kann später werden, nie früher.",
    ceases: "{maker} stellt am {day} den Betrieb ein.",
    ceases_after: "Danach werden neu entdeckte Sicherheitslücken vielleicht nicht mehr geschlossen.",
    batch: "Geräte der Charge {batch}",
    batch_others: "Alle anderen Geräte: bis zum {day}",
    batches: "Spätere Tage für einige Geräte",
    batches_lead: "Die Charge steht auf dem Produkt oder seiner Verpackung. Diese Chargen haben einen späteren Tag:",
    units: "Auch einzelne Geräte haben einen späteren Tag. Das Produkt selbst zeigt seinen Tag, und der Kontakt unten kann ihn nennen.",
    fixed: "Dieses Produkt bekommt keine Updates",
    fixed_replaced: "Bis zum {day} wird es ersetzt:",
    fixed_isolate: "So trennen Sie es von Netzen:",
    covered: "Was umfasst ist",
    device: "Gerät",
    app: "App",
    service: "Online-Dienst",
    after: "Nach diesem Tag",
    means: "Was das bedeutet",
    risks: "Risiken:",
    advice: "Was Sie tun können:",
    questions: "Ein Sicherheitsproblem gefunden, oder eine Frage?",
    contact: "Kontakt",
    person: "Ein Mensch antwortet",
    first_answer: "Erste Antwort",
    within_day: "Innerhalb von 1 Tag",
    within_days: "Innerhalb von {days} Tagen",
    news: "Nachrichten bis zur Lösung",
    every_day: "Jeden Tag",
    every_days: "Alle {days} Tage",
    policy: "Wie man ein Problem meldet, und was dann geschieht",
};

const FRENCH: PublicPages = PublicPages {
    skip: "Aller au contenu",
    languages: "Langues",
    all_products: "Tous les produits",
    operators: "Pour les exploitants",
    index_title: "Mises à jour de sécurité : jusqu’à quand",
    index_lead: "Chaque produit reçoit des mises à jour de sécurité au moins jusqu’au jour indiqué. Ce jour peut être repoussé, jamais avancé.",
    index_empty: "Aucun produit n’est encore indiqué.",
    until: "Jusqu’au {day}",
    ended: "Terminé le {day}",
    made_by: "Fabriqué par {maker}",
    title_until: "{product} : mises à jour de sécurité jusqu’au {day}",
    title_ended: "{product} : mises à jour de sécurité terminées le {day}",
    promise_label: "Jusqu’à quand il y a des mises à jour de sécurité",
    until_before: "Mises à jour de sécurité jusqu’au",
    until_after: "Jusqu’à la fin de ce jour, les nouvelles failles de sécurité seront corrigées. Ce jour peut être repoussé, jamais avancé.",
    ended_before: "Les mises à jour de sécurité ont pris fin le",
    ended_after: "Les nouvelles failles de sécurité ne sont plus corrigées.",
    promised_before: "Des mises à jour de sécurité étaient promises jusqu’au",
    promised_after: "Ce jour peut être repoussé, jamais avancé.",
    ceases: "{maker} cesse son activité le {day}.",
    ceases_after: "Après cette date, les nouvelles failles de sécurité risquent de ne pas être corrigées.",
    batch: "Appareils du lot {batch}",
    batch_others: "Tous les autres appareils : jusqu’au {day}",
    batches: "Des jours plus tardifs pour certains appareils",
    batches_lead: "Le lot est indiqué sur le produit ou sur sa boîte. Ces lots ont un jour plus tardif :",
    units: "Certains appareils ont aussi un jour plus tardif. Le produit lui-même affiche son jour, et le contact ci-dessous peut vous le dire.",
    fixed: "Ce produit ne peut pas être mis à jour",
    fixed_replaced: "Jusqu’au {day}, il est remplacé :",
    fixed_isolate: "Pour le couper des réseaux :",
    covered: "Ce qui est couvert",
    device: "Appareil",
    app: "Application",
    service: "Service en ligne",
    after: "Après ce jour",
    means: "Ce que cela signifie",
    risks: "Risques :",
    advice: "Ce que vous pouvez faire :",
    questions: "Un problème de sécurité, ou une question ?",
    contact: "Contact",
    person: "Une personne répond",
    first_answer: "Première réponse",
    within_day: "En 1 jour",
    within_days: "En {days} jours",
    news: "Nouvelles jusqu’à la solution",
    every_day: "Chaque jour",
    every_days: "Tous les {days} jours",
    policy: "Comment signaler un problème, et ce qui se passe ensuite",
};

const SPANISH: PublicPages = PublicPages {
    skip: "Ir al contenido",
    languages: "Idiomas",
    all_products: "Todos los productos",
    operators: "Para operadores",
    index_title: "Actualizaciones de seguridad: hasta cuándo",
    index_lead: "Cada producto recibe actualizaciones de seguridad al menos hasta el día indicado. Ese día se puede retrasar, nunca adelantar.",
    index_empty: "Todavía no hay ningún producto.",
    until: "Hasta el {day}",
    ended: "Terminó el {day}",
    made_by: "Fabricado por {maker}",
    title_until: "{product}: actualizaciones de seguridad hasta el {day}",
    title_ended: "{product}: las actualizaciones de seguridad terminaron el {day}",
    promise_label: "Hasta cuándo hay actualizaciones de seguridad",
    until_before: "Actualizaciones de seguridad hasta el",
    until_after: "Hasta el final de ese día se corregirán los nuevos fallos de seguridad. El día se puede retrasar, nunca adelantar.",
    ended_before: "Las actualizaciones de seguridad terminaron el",
    ended_after: "Los nuevos fallos de seguridad ya no se corrigen.",
    promised_before: "Se prometieron actualizaciones de seguridad hasta el",
    promised_after: "El día se puede retrasar, nunca adelantar.",
    ceases: "{maker} cesa su actividad el {day}.",
    ceases_after: "Después de esa fecha es posible que no se corrijan los nuevos fallos de seguridad.",
    batch: "Aparatos del lote {batch}",
    batch_others: "Todos los demás aparatos: hasta el {day}",
    batches: "Fechas posteriores para algunos aparatos",
    batches_lead: "El lote figura en el producto o en su caja. Estos lotes tienen una fecha posterior:",
    units: "Algunos aparatos también tienen una fecha posterior. El propio producto muestra su fecha, y el contacto de abajo puede decírsela.",
    fixed: "Este producto no se puede actualizar",
    fixed_replaced: "Hasta el {day} se sustituye:",
    fixed_isolate: "Para separarlo de las redes:",
    covered: "Qué se incluye",
    device: "Aparato",
    app: "Aplicación",
    service: "Servicio en línea",
    after: "Después de ese día",
    means: "Qué significa",
    risks: "Riesgos:",
    advice: "Qué puede hacer:",
    questions: "¿Ha encontrado un problema de seguridad o tiene una pregunta?",
    contact: "Contacto",
    person: "Responde una persona",
    first_answer: "Primera respuesta",
    within_day: "En 1 día",
    within_days: "En {days} días",
    news: "Noticias hasta que se resuelva",
    every_day: "Cada día",
    every_days: "Cada {days} días",
    policy: "Cómo avisar de un problema y qué pasa después",
};

const WELSH: PublicPages = PublicPages {
    skip: "Neidio i’r cynnwys",
    languages: "Ieithoedd",
    all_products: "Pob cynnyrch",
    operators: "I weithredwyr",
    index_title: "Diweddariadau diogelwch: tan pryd",
    index_lead: "Bydd pob cynnyrch yma yn cael diweddariadau diogelwch o leiaf tan y dyddiad a ddangosir. Gellir symud y dyddiad yn hwyrach, byth yn gynharach.",
    index_empty: "Nid oes cynnyrch wedi’i restru eto.",
    until: "Tan {day}",
    ended: "Daeth i ben ar {day}",
    made_by: "Gwnaed gan {maker}",
    title_until: "{product}: diweddariadau diogelwch hyd at {day}",
    title_ended: "{product}: daeth diweddariadau diogelwch i ben ar {day}",
    promise_label: "Tan pryd y bydd diweddariadau diogelwch",
    until_before: "Diweddariadau diogelwch hyd at",
    until_after: "Tan ddiwedd y diwrnod hwnnw, caiff tyllau diogelwch newydd eu trwsio. Gellir symud y dyddiad yn hwyrach, byth yn gynharach.",
    ended_before: "Daeth diweddariadau diogelwch i ben ar",
    ended_after: "Nid yw tyllau diogelwch newydd yn cael eu trwsio mwyach.",
    promised_before: "Addawyd diweddariadau diogelwch hyd at",
    promised_after: "Gellir symud y dyddiad yn hwyrach, byth yn gynharach.",
    ceases: "Bydd {maker} yn rhoi’r gorau i weithredu ar {day}.",
    ceases_after: "Ar ôl hynny, mae’n bosibl na chaiff tyllau diogelwch newydd eu trwsio.",
    batch: "Unedau o swp {batch}",
    batch_others: "Pob uned arall: hyd at {day}",
    batches: "Dyddiadau hwyrach i rai unedau",
    batches_lead: "Mae’r swp i’w weld ar y cynnyrch neu ar ei flwch. Mae gan y sypiau hyn ddyddiad hwyrach:",
    units: "Mae gan rai unedau unigol ddyddiad hwyrach hefyd. Mae’r cynnyrch ei hun yn dangos ei ddyddiad, a gall y cyswllt isod ddweud wrthych.",
    fixed: "Ni ellir diweddaru’r cynnyrch hwn",
    fixed_replaced: "Hyd at {day} caiff ei amnewid:",
    fixed_isolate: "I’w dorri oddi ar rwydweithiau:",
    covered: "Beth sy’n cael ei gynnwys",
    device: "Dyfais",
    app: "Ap",
    service: "Gwasanaeth",
    after: "Ar ôl y diwrnod hwnnw",
    means: "Beth mae hyn yn ei olygu",
    risks: "Risgiau:",
    advice: "Yr hyn y gallwch ei wneud:",
    questions: "Wedi dod o hyd i broblem diogelwch, neu oes gennych gwestiwn?",
    contact: "Cyswllt",
    person: "Mae person yn ateb",
    first_answer: "Ateb cyntaf",
    within_day: "O fewn 1 diwrnod",
    within_days: "O fewn {days} diwrnod",
    news: "Newyddion nes ei ddatrys",
    every_day: "Bob dydd",
    every_days: "Bob {days} diwrnod",
    policy: "Sut i roi gwybod am broblem, a beth sy’n digwydd wedyn",
};
