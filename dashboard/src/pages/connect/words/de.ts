import type { en } from './en';

/** The same in German. */
export const de: Readonly<Record<keyof typeof en, string>> = {
  'connect.title': 'Anschließen, was weiß, wo die Dinge sind',
  'connect.lead':
    'Ein Gateway, ein Broker, ein Board am Kabel oder ein eigenes Programm: wählen, kopieren und zusehen, wie das erste Tag erscheint.',
  'connect.ways': 'Wege, etwas anzuschließen',
  'connect.configuration': 'Der Server holt es',
  'connect.program': 'Ein Programm schickt es',
  'connect.name': 'Name der Quelle',
  'connect.url': 'Ihre Adresse',
  'connect.copy': 'Kopieren',
  'connect.copyLabel': 'Text für {way} kopieren',

  'state.waiting': 'Warte auf die erste Position…',
  'state.waitingNote': 'Diese Zeile ändert sich von selbst, sobald eine ankommt.',
  'state.some.one': '{n} Gerät meldet sich.',
  'state.some.other': '{n} Geräte melden sich.',
  'state.newest': 'Die neueste Position kam {ago}.',
  'state.blind': 'Ihre Rolle führt keine Geräte auf; diese Seite sieht sie nicht ankommen.',
  'state.toMap': 'Karte zeigen',

  'step.add': 'Fügen Sie dies in `anita.toml` ein:',
  'step.check': 'Sehen Sie nach, ob alles stimmt: `anita check-config --config anita.toml`',
  'step.restart':
    'Starten Sie den Server neu. Die Seite Quellen der Verwaltung sagt, ob sie verbunden ist, und was zu tun ist, wenn nicht.',
  'step.token': 'Stellen Sie ein Token aus, das melden darf und sonst nichts:',
  'step.run': 'Starten Sie dies mit dem Token in `ANITA_TOKEN`:',
  'step.certificate':
    'Das Zertifikat dieser Adresse wird geprüft. Hat es der Server selbst unterschrieben, geben Sie seinen Fingerabdruck oder seine Datei an: wie, sagt die Seite des Clients.',

  'way.drtls': 'MQTT, Qorvo DRTLS',
  'about.drtls': 'Gateways von Qorvo, Decawave und Leaps (MDEK1001, PANS) schreiben an einen Broker.',
  'way.pozyx': 'MQTT, Pozyx',
  'about.pozyx': 'Die Software von Pozyx, oder deren Cloud, schreibt Tags an einen Broker.',
  'way.serial': 'Serielle Schnittstelle, DWM1001',
  'about.serial': 'Ein Board an USB, das seine Positionen ausgibt: ein Listener oder ein Tag.',
  'way.tcp': 'TCP, DWM1001',
  'about.tcp': 'Dieselben Zeilen über einen Geräteserver oder eine Brücke.',
  'way.file': 'Eine Datei, die wächst',
  'about.file': 'Zeilen, die ein anderes Programm in eine Datei schreibt.',
  'way.simulator': 'Simulator',
  'about.simulator': 'Tags, die durch ein erdachtes Gelände gehen: alles ausprobieren, ohne Hardware.',
  'way.http': 'HTTP',
  'about.http': 'Eine Anfrage, eine Position oder bis zu 1.000. Was HTTP senden kann, kann melden.',
  'way.javascript': 'JavaScript',
  'about.javascript':
    'Über einen WebSocket, der offen bleibt: den Client mit `npm install` holen oder in einer Seite `/sdk/anita.js` importieren.',
  'way.python': 'Python',
  'about.python': 'Über einen WebSocket, der offen bleibt: `pip install ./clients/python`.',
  'way.rust': 'Rust',
  'about.rust': 'Über einen WebSocket, der offen bleibt, mit der Crate `anita-client`.',
  'way.replay': 'Eine Aufzeichnung',
  'about.replay': 'Spielt eine CSV- oder NDJSON-Datei ab, als geschähe es jetzt.',

  'test.title': 'Oder eine Testposition senden',
  'test.lead':
    'Eine Position eines erdachten Tags, über die Verbindung dieser Seite: sie zeigt, dass alles dahinter funktioniert.',
  'test.send': 'Testposition senden',
  'test.again': 'Um einen Meter bewegen',
  'test.sending': 'Sende…',
  'test.accepted': 'Der Server hat sie angenommen. Warte, bis sie zurückkommt…',
  'test.seen': '`{id}` kam nach {ms} ms zurück und ist auf der Karte.',
  'test.blind':
    'Der Server hat sie angenommen. Ihre Rolle führt keine Geräte auf; wer darf, sieht `{id}` auf der Karte.',
  'test.refused': 'Der Server hat sie abgelehnt:',
  'test.show': 'Auf der Karte zeigen',
  'test.remove': 'Test-Tag entfernen',
  'test.removed': '`{id}` ist entfernt, mit seinem Verlauf.',
  'test.leftBehind': 'Es bleibt, bis jemand mit der Rolle operator es entfernt.',
  'test.mayNot':
    'Das braucht das Recht `locations.report`: melden Sie sich mit einem Token der Rolle publisher oder operator an.',
  'test.offline': 'Das braucht eine Verbindung.',
};
