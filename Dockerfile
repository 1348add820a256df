# The API, the mirror and the one-shot commands: one image, the command chooses. See compose.yaml.
FROM node:20-bookworm-slim AS build
WORKDIR /app
# The install script of the embedded PostgreSQL links its libraries; nothing else runs, and nothing is downloaded but packages.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-fund --no-audit
COPY . .
RUN npm run build

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Owned by root and read by node: what serves cannot change what it runs.
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/console/dist ./console/dist
COPY --from=build /app/prisma ./prisma
COPY package.json package-lock.json schema.graphql tsconfig.json ./
COPY core ./core
COPY protocols ./protocols
COPY subgraph ./subgraph
COPY api ./api
COPY proposals ./proposals
COPY devnet ./devnet
COPY cli ./cli
# Builds of the subgraph and copies of the chain that simulations make.
RUN mkdir -p /var/lib/bulwark && chown node:node /var/lib/bulwark
VOLUME /var/lib/bulwark
USER node
ENV API_HOST=0.0.0.0 API_PORT=4000 STATE_DIR=/var/lib/bulwark
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.API_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "tsx", "api/graphql/main.ts"]
