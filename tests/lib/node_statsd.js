// A program that counts as people's programs do: with stock hot-shots.
// usage: node node_statsd.js PORT N
const [, , port, n] = process.argv, StatsD = require('hot-shots')
const c = new StatsD({host: '127.0.0.1', port: +port, prefix: 'shop.', globalTags: {env: 'test'}, maxBufferSize: 1000, bufferFlushInterval: 20})
for (let i = 0; i < n; i++) {
  c.increment('orders', {kind: i % 2 ? 'book' : 'disc'})
  c.timing('put', i + 1)
  c.distribution('size', 10)
}
c.gauge('queue', 40)
c.gaugeDelta('queue', -3)
c.increment('bytes', 1000)
c.decrement('bytes', 1)
c.set('users', 'ann')
c.check('disk', c.CHECKS.CRITICAL, {hostname: 'web1', message: 'only 2 % left'}, ['vol:root'])
c.event('deployed 1.4', 'by the pipeline\nall green', {alert_type: 'warning', priority: 'low'})
c.close(e => { if (e) throw e })
