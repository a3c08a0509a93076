// A program with stock @sentry/node: the same bug from two places with other values each time, another bug, a message; ends with a crash.
// usage: node sentry_node.js DSN
const Sentry = require('@sentry/node')
Sentry.init({dsn: process.argv[2], release: 'shop@1.4', environment: 'test', serverName: 'web-1', sendDefaultPii: false})
const charge = order => { throw new TypeError(`order ${order.id} has no card, token=SECRETTOKEN${order.id}`) }
const attempt = order => { try { charge(order) } catch (e) { Sentry.captureException(new Error(`payment of ${order.id} failed`, {cause: e}), {tags: {step: 'pay'}, user: {id: 'u' + order.id, email: 'ann@example.com'}}) } }
const checkout = order => attempt(order)
for (let i = 0; i < 5; i++) checkout({id: 1000 + i})
setImmediate(() => checkout({id: 'ab12'}))
try { null.name } catch (e) { Sentry.captureException(e) }
Sentry.captureMessage('disk is at 91 %', 'warning')
setTimeout(() => { (function last() { throw new RangeError('the end') })() }, 300)
