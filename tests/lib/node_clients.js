// Programs that log as people's programs do: with stock winston over HTTP, and stock pino whose lines pino-http-send posts.
// usage: node node_clients.js winston|pino URL KEY N
const [, , which, url, key, n] = process.argv
if (which === 'winston') {
  const winston = require('winston'), u = new URL(url)
  const logger = winston.createLogger({level: 'debug', format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [new winston.transports.Http({host: u.hostname, port: u.port, path: '/v1/events', headers: {Authorization: 'Bearer ' + key}})]})
  logger.on('error', e => { console.error(e); process.exit(1) })
  for (let i = 0; i < n; i++) logger.log(['info', 'warn', 'error'][i % 3], 'winston says ' + i, {client: 'winston', n: i, nested: {deep: {ok: true}}})
  // the program ends when the last request is answered
} else { // piped into pino-http-send
  const pino = require('pino'), logger = pino({level: 'debug'})
  for (let i = 0; i < n; i++) logger[['info', 'warn', 'error'][i % 3]]({client: 'pino', n: i, nested: {deep: {ok: true}}}, 'pino says ' + i)
}
