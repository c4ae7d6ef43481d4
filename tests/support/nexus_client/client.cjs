// Runs the vendor's client against our server: `node client.cjs BASE KEY [TOKEN REFRESH]`, and prints what it got as JSON.
const parameters = require('@nexusmods/nexus-api/lib/parameters');
const base = process.argv[2];
// Both are read when a client is made and when a token is renewed.
parameters.API_URL = `${base}/v1`;
parameters.USER_SERVICE_API_URL = base;
const { default: Nexus } = require('@nexusmods/nexus-api');

const GAME = 'skyrimspecialedition';

// What a call gave, or the class, the status and the words of its error.
async function outcome(work) {
  try {
    return { value: await work };
  } catch (err) {
    return { error: err.constructor.name, status: err.statusCode, message: err.message };
  }
}

async function everything(nexus) {
  const first = await nexus.getDownloadURLs(10, 103);
  return {
    member: nexus.getValidationResult(),
    games: (await nexus.getGames()).map((each) => each.domain_name),
    game: (await nexus.getGameInfo()).categories[0].name,
    mod: await nexus.getModInfo(10),
    files: await nexus.getModFiles(10),
    file: (await nexus.getFileInfo(10, 103)).file_name,
    links: first.map((each) => each.name),
    trending: (await nexus.getTrending()).length,
    added: (await nexus.getLatestAdded()).length,
    latest: (await nexus.getLatestUpdated()).length,
    updated: (await nexus.getRecentlyUpdatedMods('1m')).length,
    changelogs: await nexus.getChangelogs(10),
    track: await nexus.trackMod('13'),
    trackedTwice: await nexus.trackMod('13'),
    tracked: await nexus.getTrackedMods(),
    untrack: await nexus.untrackMod('13'),
    endorsed: (await nexus.getEndorsements()).length,
    endorse: await nexus.endorseMod(13, '2.5', 'endorse'),
    byHash: await outcome(nexus.getFileByMD5(process.env.MD5)),
    noSuchHash: await outcome(nexus.getFileByMD5('0'.repeat(32))),
    badHash: await outcome(nexus.getFileByMD5('no-hash')),
    noSuchFile: await outcome(nexus.getFileInfo(10, 999)),
    noSuchGame: await outcome(nexus.getGameInfo('nowhere')),
    hidden: await outcome(nexus.getModFiles(14)),
    wrongLink: await outcome(nexus.getDownloadURLs(10, 103, 'wrong', 1)),
    limits: nexus.getRateLimits(),
  };
}

// One after another: the test puts each fault in front of the next request to /games.
async function faults(nexus) {
  return { games: await outcome(nexus.getGames()) };
}

async function main() {
  const [key, token, refreshToken] = process.argv.slice(3);
  const config = { id: 'keyfob-test', secret: 'none' };
  const nexus = token
    ? await Nexus.createWithOAuth({ token, refreshToken, fingerprint: 'none' }, config, 'Keyfob', '1.0.0', GAME, 10000)
    : await Nexus.create(key, 'Keyfob', '1.0.0', GAME, 10000);
  const work = process.env.ONLY_GAMES ? faults : everything;
  process.stdout.write(JSON.stringify(await work(nexus)));
}

main().catch((err) => {
  process.stdout.write(JSON.stringify({ failed: err.message, status: err.statusCode, error: err.constructor.name }));
});
