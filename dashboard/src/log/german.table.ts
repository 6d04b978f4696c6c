/** What the SDK's `explain` and the page's own refusals say, in German; by the same codes. */

interface Said {
  readonly meaning: string;
  readonly remedy: string;
  /** Only where the page says this itself: a server may use the same code with words of its own. */
  readonly for?: string;
}

const CHECK_SERVER = 'Prüfen Sie Adresse, Zertifikat und Netz.';
const COMES_BACK = 'Die Seite kommt von selbst wieder.';
const AGAIN = 'Versuchen Sie es noch einmal.';

export const own: Readonly<Record<string, Said>> = {
  aborted: { meaning: 'Die Anfrage wurde aufgegeben, bevor ihre Antwort kam.', remedy: '' },
  closed: { meaning: 'Die Verbindung ist geschlossen.', remedy: 'Melden Sie sich neu an.' },
  connect_timeout: { meaning: 'Der Verbindungsaufbau dauerte zu lange.', remedy: CHECK_SERVER },
  connection_lost: { meaning: 'Die Verbindung ging verloren.', remedy: COMES_BACK },
  disconnected: { meaning: 'Die Verbindung ging verloren, bevor die Antwort kam.', remedy: AGAIN },
  no_socket: { meaning: 'Es ließ sich kein WebSocket öffnen.', remedy: 'Prüfen Sie die Adresse.' },
  page_hidden: { meaning: 'Der Browser hat die Seite weggelegt.', remedy: 'Sie kommt wieder, wenn sie gezeigt wird.' },
  queue_full: { meaning: 'Es wartet schon zu viel auf das Senden.', remedy: 'Fragen Sie weniger auf einmal.' },
  silence: { meaning: 'Der Server schweigt.', remedy: CHECK_SERVER },
  token_failed: { meaning: 'Es war kein Token zu bekommen.', remedy: 'Melden Sie sich an.' },
  unauthenticated: { meaning: 'Der Server verlangt ein Token.', remedy: 'Melden Sie sich an.' },
  unreachable: { meaning: 'Der Server war nicht zu erreichen.', remedy: CHECK_SERVER },
  'timeout timeout': { meaning: 'Die Anfrage wurde nicht rechtzeitig beantwortet.', remedy: AGAIN },
  'parse invalid_json': { meaning: 'Der Server schickte etwas, das kein JSON ist.', remedy: CHECK_SERVER },
  'parse invalid_message': { meaning: 'Der Server schickte etwas, das keine Nachricht ist.', remedy: CHECK_SERVER },
  'page unreachable': {
    for: 'The server does not answer.',
    meaning: 'Der Server antwortet nicht.',
    remedy: 'Prüfen Sie, ob er läuft und ob dieser Rechner ihn erreicht; dann noch einmal.',
  },
  'page no_session': {
    for: 'The token was accepted, but the browser did not keep the session.',
    meaning: 'Das Token wurde angenommen, aber der Browser hat die Sitzung nicht behalten.',
    remedy: 'Erlauben Sie Cookies für diese Adresse, und öffnen Sie sie so, wie der Server sie druckt.',
  },
};

export const remedies: Readonly<Record<string, string>> = {
  invalid_json: 'Senden Sie ein JSON-Objekt je Nachricht: {"type": …, "payload": {…}}.',
  invalid_message: 'Senden Sie {"type": "…", "payload": {…}}, auf Wunsch mit einer id.',
  unknown_type: 'Sehen Sie in der Liste der Nachrichten nach: auf der Seite des Protokolls oder unter /schema/.',
  invalid_payload: 'Berichtigen Sie das Feld, das `details.path` nennt; die Form steht unter /schema/.',
  out_of_range:
    'Bleiben Sie in der genannten Grenze; bei einer Position: prüfen Sie Einheiten (Meter, UTC) und die Uhr des Geräts.',
  unauthenticated: 'Senden Sie `authenticate` mit einem Token, oder verbinden Sie sich mit einem.',
  invalid_token: 'Holen Sie ein neues Token für diesen Server; prüfen Sie Aussteller, Empfänger und Schlüssel.',
  token_expired: 'Holen Sie ein frisches Token und kommen Sie wieder.',
  forbidden: 'Bitten Sie um ein Token mit einer Rolle, die das Recht in `details` hat.',
  not_found: 'Prüfen Sie die Id; prüfen Sie die Muster des Tokens.',
  conflict: 'Lesen Sie den jetzigen Stand und entscheiden Sie neu.',
  rate_limited:
    'Warten Sie `retry_after_ms` ab und fragen Sie dann seltener; eine Nachricht fasst bis zu 1.000 Positionen, und ein Abonnement erspart neues Fragen.',
  too_large: 'Senden Sie weniger auf einmal; die Grenzen stehen in `system.connection`.',
  limit_reached:
    'Verlassen Sie erst einen Raum oder beenden Sie eine Ansicht; die Grenzen stehen in `system.connection`.',
  timeout: 'Senden Sie es noch einmal, in einem Zug.',
  unavailable: 'Versuchen Sie es nach `retry_after_ms` noch einmal.',
  internal: 'Versuchen Sie es noch einmal; wenn es bleibt, steht die Ursache im Protokoll des Servers.',
};

export const closes: Readonly<Record<number, string>> = {
  1000: 'Die Verbindung endete, wie sie soll.',
  1001: 'Der Server geht.',
  1002: 'Ein Rahmen verletzte das WebSocket-Protokoll.',
  1003: 'Binäre Nachrichten werden nicht verstanden; senden Sie JSON als Text.',
  1007: 'Eine Textnachricht war nicht UTF-8.',
  1009: 'Eine Nachricht war größer als die Grenze in `system.connection`.',
  1011: 'Der Server traf auf einen eigenen Fehler.',
  1012: 'Der Server startet neu.',
  1013: 'Der Server hat gerade keinen Platz für diese Verbindung.',
  4401: 'Das Token ist abgelaufen; kommen Sie mit einem frischen wieder.',
  4408: 'Innerhalb der Frist kam kein `authenticate`.',
  4410: 'Länger als zwei Lebenszeichen lang war nichts zu hören.',
  4413: 'Die Seite las zu langsam für das, was sie verlangte.',
  4429: 'Zu viele Anfragen; warten Sie `retry_after_ms` ab.',
  4500: 'Die erste Nachricht war nicht `authenticate`.',
  4501: 'Das Token wurde nicht angenommen.',
  4503: 'Dieses Token oder diese Seite darf hier nicht verbinden.',
  4504: 'Hier ist kein WebSocket; es gibt `/ws` und `/ws/uwb`.',
  4509: 'Die Sitzung wurde beendet: durch Abmelden, Widerruf oder die Verwaltung.',
};

/** The SDK has three remedies of close codes; which one it chose is known by its English words. */
export function afterClose(code: number, english: string): string {
  if (code === 4401 || code === 4509) return 'Melden Sie sich neu an, oder kommen Sie mit einem frischen Token wieder.';
  if (english.startsWith('The client stays away'))
    return 'Die Seite bleibt fort: beheben Sie die Ursache, dann verbinden Sie neu.';
  return COMES_BACK;
}
