//! What is said by e-mail to owners who ask for it, and on the pages where they do.

use super::topic;

topic! {
    /// The letters, and the pages around them. What a letter tells is in [`super::Notices`].
    Letters {
        /// The heading of the page with the form.
        heading,
        /// What happens, and what does not.
        about,
        /// The label of the address.
        address,
        /// The label of the language.
        language,
        /// The label of the batch.
        batch,
        /// The button.
        ask,
        /// What was typed is no address.
        no_address,
        /// After the form: the heading.
        asked_heading,
        /// After the form: look into the mailbox.
        asked,
        /// The subject of the letter with the link.
        confirm_subject,
        /// The letter with the link.
        confirm_letter,
        /// The page behind the link.
        confirm_heading,
        /// The button on it.
        confirm,
        /// It is done.
        confirmed,
        /// The link is too old, or was used.
        gone,
        /// Below each letter.
        footer,
        /// The page to stop.
        stop_heading,
        /// The button on it.
        stop,
        /// It is done.
        stopped,
        /// Below the last letter.
        last,
    }
}

const ENGLISH: Letters = Letters {
    heading: "Be told by e-mail",
    about: "We write to you about security updates for {product}: now, when a year, half a year, 90 days and 30 days are left, when the last day is over, and 30 days later. We also write when the day changes. We use your address for nothing else, and erase it after that.",
    address: "Your e-mail address",
    language: "Language",
    batch: "Batch, as printed on the product (you may leave it empty)",
    ask: "Write to me",
    no_address: "This is not an e-mail address. Please look at it again.",
    asked_heading: "Please look into your mailbox",
    asked: "We have sent you a message with a link. Open it to confirm that the address is yours. If you do not, we erase the address after 7 days.",
    confirm_subject: "Please confirm: news on {product}",
    confirm_letter: "Somebody, most likely you, asked us to write to this address when security updates for {product} come to an end.\n\nTo confirm, open this page and press the button:\n{link}\n\nIf it was not you, do nothing. We will not write again, and we erase the address after 7 days.",
    confirm_heading: "Write to you about {product}?",
    confirm: "Yes, write to me",
    confirmed: "Thank you. The first message is on its way.",
    gone: "This link is no longer in use. Your address is not kept here.",
    footer: "You get this because you asked for it. Stop, and have your address erased: {link}",
    stop_heading: "Stop the messages about {product}?",
    stop: "Stop and erase my address",
    stopped: "Done. Your address is erased.",
    last: "This is our last message. We have erased your address.",
};

const GERMAN: Letters = Letters {
    heading: "Bescheid per E-Mail",
    about: "Wir schreiben Ihnen über die Sicherheits-Updates für {product}: jetzt, ein Jahr, ein halbes Jahr, 90 Tage und 30 Tage vor dem Ende, nach dem letzten Tag und 30 Tage später. Wir schreiben auch, wenn sich der Tag ändert. Wir nutzen Ihre Adresse für nichts anderes und löschen sie danach.",
    address: "Ihre E-Mail-Adresse",
    language: "Sprache",
    batch: "Charge, wie auf dem Produkt gedruckt (kann leer bleiben)",
    ask: "Schreiben Sie mir",
    no_address: "Das ist keine E-Mail-Adresse. Bitte sehen Sie noch einmal nach.",
    asked_heading: "Bitte sehen Sie in Ihr Postfach",
    asked: "Wir haben Ihnen eine Nachricht mit einem Link geschickt. Öffnen Sie ihn, um zu bestätigen, dass die Adresse Ihnen gehört. Sonst löschen wir sie nach 7 Tagen.",
    confirm_subject: "Bitte bestätigen: Nachrichten zu {product}",
    confirm_letter: "Jemand, vermutlich Sie, hat uns gebeten, an diese Adresse zu schreiben, wenn die Sicherheits-Updates für {product} zu Ende gehen.\n\nZum Bestätigen öffnen Sie bitte diese Seite und drücken den Knopf:\n{link}\n\nWaren Sie es nicht, müssen Sie nichts tun. Wir schreiben nicht noch einmal und löschen die Adresse nach 7 Tagen.",
    confirm_heading: "Sollen wir Ihnen zu {product} schreiben?",
    confirm: "Ja, schreiben Sie mir",
    confirmed: "Danke. Die erste Nachricht ist unterwegs.",
    gone: "Dieser Link gilt nicht mehr. Ihre Adresse ist hier nicht gespeichert.",
    footer: "Sie bekommen das, weil Sie darum gebeten haben. Beenden und die Adresse löschen: {link}",
    stop_heading: "Keine Nachrichten zu {product} mehr?",
    stop: "Beenden und meine Adresse löschen",
    stopped: "Erledigt. Ihre Adresse ist gelöscht.",
    last: "Das ist unsere letzte Nachricht. Wir haben Ihre Adresse gelöscht.",
};

const FRENCH: Letters = Letters {
    heading: "Être prévenu par e-mail",
    about: "Nous vous écrivons au sujet des mises à jour de sécurité de {product} : maintenant, un an, six mois, 90 jours et 30 jours avant la fin, après le dernier jour, et 30 jours plus tard. Nous écrivons aussi si la date change. Votre adresse ne sert à rien d’autre, et nous l’effaçons ensuite.",
    address: "Votre adresse e-mail",
    language: "Langue",
    batch: "Lot, comme imprimé sur le produit (peut rester vide)",
    ask: "Écrivez-moi",
    no_address: "Ce n’est pas une adresse e-mail. Merci de la vérifier.",
    asked_heading: "Merci de regarder votre boîte aux lettres",
    asked: "Nous vous avons envoyé un message avec un lien. Ouvrez-le pour confirmer que l’adresse est la vôtre. Sinon, nous l’effaçons après 7 jours.",
    confirm_subject: "Merci de confirmer : nouvelles de {product}",
    confirm_letter: "Quelqu’un, sans doute vous, nous a demandé d’écrire à cette adresse quand les mises à jour de sécurité de {product} prendront fin.\n\nPour confirmer, ouvrez cette page et appuyez sur le bouton :\n{link}\n\nSi ce n’était pas vous, ne faites rien. Nous n’écrirons plus, et nous effaçons l’adresse après 7 jours.",
    confirm_heading: "Vous écrire au sujet de {product} ?",
    confirm: "Oui, écrivez-moi",
    confirmed: "Merci. Le premier message est en route.",
    gone: "Ce lien ne sert plus. Votre adresse n’est pas gardée ici.",
    footer: "Vous recevez ce message parce que vous l’avez demandé. Arrêter et faire effacer votre adresse : {link}",
    stop_heading: "Arrêter les messages au sujet de {product} ?",
    stop: "Arrêter et effacer mon adresse",
    stopped: "C’est fait. Votre adresse est effacée.",
    last: "C’est notre dernier message. Nous avons effacé votre adresse.",
};

const SPANISH: Letters = Letters {
    heading: "Aviso por correo electrónico",
    about: "Le escribimos sobre las actualizaciones de seguridad de {product}: ahora, cuando falten un año, medio año, 90 días y 30 días, pasado el último día y 30 días después. También escribimos si cambia la fecha. No usamos su dirección para nada más, y después la borramos.",
    address: "Su correo electrónico",
    language: "Idioma",
    batch: "Lote, como está impreso en el producto (puede quedar vacío)",
    ask: "Escríbanme",
    no_address: "Esto no es un correo electrónico. Por favor, revíselo.",
    asked_heading: "Por favor, mire su buzón",
    asked: "Le hemos enviado un mensaje con un enlace. Ábralo para confirmar que la dirección es suya. Si no, la borramos después de 7 días.",
    confirm_subject: "Por favor, confirme: noticias de {product}",
    confirm_letter: "Alguien, seguramente usted, nos pidió que escribiéramos a esta dirección cuando terminen las actualizaciones de seguridad de {product}.\n\nPara confirmar, abra esta página y pulse el botón:\n{link}\n\nSi no fue usted, no haga nada. No volveremos a escribir, y borramos la dirección después de 7 días.",
    confirm_heading: "¿Le escribimos sobre {product}?",
    confirm: "Sí, escríbanme",
    confirmed: "Gracias. El primer mensaje está en camino.",
    gone: "Este enlace ya no sirve. Su dirección no está guardada aquí.",
    footer: "Recibe este mensaje porque lo pidió. Dejar de recibirlos y borrar su dirección: {link}",
    stop_heading: "¿Dejar los mensajes sobre {product}?",
    stop: "Dejarlo y borrar mi dirección",
    stopped: "Hecho. Su dirección está borrada.",
    last: "Este es nuestro último mensaje. Hemos borrado su dirección.",
};

const WELSH: Letters = Letters {
    heading: "Cael gwybod drwy e-bost",
    about: "Byddwn yn ysgrifennu atoch am ddiweddariadau diogelwch ar gyfer {product}: nawr, pan fydd blwyddyn, hanner blwyddyn, 90 diwrnod a 30 diwrnod ar ôl, wedi’r diwrnod olaf, a 30 diwrnod wedyn. Byddwn hefyd yn ysgrifennu os bydd y dyddiad yn newid. Ni ddefnyddiwn eich cyfeiriad at ddim arall, a byddwn yn ei ddileu wedyn.",
    address: "Eich cyfeiriad e-bost",
    language: "Iaith",
    batch: "Swp, fel y mae wedi’i argraffu ar y cynnyrch (gallwch ei adael yn wag)",
    ask: "Ysgrifennwch ataf",
    no_address: "Nid cyfeiriad e-bost yw hwn. Edrychwch arno eto.",
    asked_heading: "Edrychwch yn eich blwch post",
    asked: "Rydym wedi anfon neges atoch gyda dolen. Agorwch hi i gadarnhau mai eich cyfeiriad chi ydyw. Os na wnewch, byddwn yn dileu’r cyfeiriad ar ôl 7 diwrnod.",
    confirm_subject: "Cadarnhewch: newyddion am {product}",
    confirm_letter: "Gofynnodd rhywun, chi mae’n debyg, i ni ysgrifennu i’r cyfeiriad hwn pan ddaw diweddariadau diogelwch ar gyfer {product} i ben.\n\nI gadarnhau, agorwch y dudalen hon a phwyswch y botwm:\n{link}\n\nOs nad chi oedd hyn, peidiwch â gwneud dim. Ni fyddwn yn ysgrifennu eto, a byddwn yn dileu’r cyfeiriad ar ôl 7 diwrnod.",
    confirm_heading: "Ysgrifennu atoch am {product}?",
    confirm: "Ie, ysgrifennwch ataf",
    confirmed: "Diolch. Mae’r neges gyntaf ar ei ffordd.",
    gone: "Nid yw’r ddolen hon mewn defnydd mwyach. Nid yw eich cyfeiriad yn cael ei gadw yma.",
    footer: "Rydych yn cael hwn am i chi ofyn amdano. Stopio, a dileu eich cyfeiriad: {link}",
    stop_heading: "Stopio’r negeseuon am {product}?",
    stop: "Stopio a dileu fy nghyfeiriad",
    stopped: "Wedi’i wneud. Mae eich cyfeiriad wedi’i ddileu.",
    last: "Dyma ein neges olaf. Rydym wedi dileu eich cyfeiriad.",
};
