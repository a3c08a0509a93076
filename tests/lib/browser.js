// A real Chromium for the stories. usage: node browser.js STEPS.json
// STEPS: [{"do":"open","url":…}, {"do":"fill","at":"input[name=email]","text":…}, {"do":"click","at":…}, {"do":"wait","at":…},
//         {"do":"text","at":…}, {"do":"eval","code":…}, {"do":"shot","file":…,"width":…,"dark":…}, {"do":"axe"}, {"do":"close-page"}, {"do":"offline","on":true},
//         {"do":"drag","at":…,"from":0.2,"to":0.5} (parts of its width), {"do":"download","at":…} (clicks; [name, text]), {"do":"zone","name":…}]
// Prints one JSON object: {"texts":[…], "console":[…], "dialogs":n, "axe":[…]}.
const {chromium} = require('playwright-core')
const fs = require('fs')

;(async () => {
  const steps = JSON.parse(fs.readFileSync(process.argv[2], 'utf8')), said = {texts: [], console: [], dialogs: 0, axe: [], requests: []}
  const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-background-networking', '--disable-sync']})
  const context = await browser.newContext({viewport: {width: 1280, height: 900}, bypassCSP: false})
  let page = await context.newPage()
  const watch = p => {
    p.on('console', m => said.console.push(`${m.type()}: ${m.text()}`))
    p.on('pageerror', e => said.console.push(`pageerror: ${e.message}`))
    p.on('dialog', d => { said.dialogs++; d.dismiss() })
    p.on('request', r => said.requests.push({method: r.method(), url: r.url(), body: r.postData(), headers: r.headers()}))
  }
  watch(page)
  for (const s of steps) {
    if (s.do === 'open') await page.goto(s.url)
    else if (s.do === 'fill') await page.fill(s.at, s.text)
    else if (s.do === 'press') await page.press(s.at, s.key)
    else if (s.do === 'click') await page.click(s.at)
    else if (s.do === 'wait') await page.waitForSelector(s.at, {timeout: 15000})
    else if (s.do === 'sleep') await page.waitForTimeout(s.ms)
    else if (s.do === 'text') said.texts.push(await page.textContent(s.at))
    else if (s.do === 'count') said.texts.push(await page.locator(s.at).count())
    else if (s.do === 'eval') said.texts.push(await page.evaluate(s.code).catch(e => 'threw ' + e.message))
    else if (s.do === 'zone') await (await context.newCDPSession(page)).send('Emulation.setTimezoneOverride', {timezoneId: s.name})
    else if (s.do === 'download') {
      const [file] = await Promise.all([page.waitForEvent('download'), page.click(s.at)])
      said.texts.push([file.suggestedFilename(), fs.readFileSync(await file.path(), 'utf8')])
    } else if (s.do === 'drag') {
      const box = await page.locator(s.at).first().boundingBox(), y = box.y + box.height / 2
      await page.mouse.move(box.x + box.width * s.from, y)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * s.to, y, {steps: 4})
      await page.mouse.up()
    } else if (s.do === 'cookies') said.texts.push(await context.cookies())
    else if (s.do === 'shot') {
      await page.setViewportSize({width: s.width || 1280, height: s.height || 900})
      await page.emulateMedia({colorScheme: s.dark ? 'dark' : 'light'})
      await page.waitForTimeout(150)
      await page.screenshot({path: s.file, fullPage: !!s.full})
    } else if (s.do === 'axe') {
      const source = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
      const client = await context.newCDPSession(page) // the page's own policy forbids injected scripts; the debugger may
      await client.send('Runtime.evaluate', {expression: source})
      const r = await client.send('Runtime.evaluate', {expression: 'axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" | ").slice(0, 300)))', awaitPromise: true, returnByValue: true})
      said.axe.push(...(r.result.value || ['axe did not run: ' + JSON.stringify(r).slice(0, 300)]))
    } else if (s.do === 'offline') await context.setOffline(s.on)
    else if (s.do === 'close-page') { await page.close({runBeforeUnload: true}); page = await context.newPage(); watch(page) }
    else throw new Error('unknown step ' + s.do)
  }
  await browser.close()
  console.log(JSON.stringify(said))
})().catch(e => { console.error(e); process.exit(1) })
